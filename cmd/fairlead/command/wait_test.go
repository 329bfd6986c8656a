package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestWaiting: one who asks a gateway that gives these answers in turn, the last of them again and again.
var asLines = output{format: "json", lines: true}

func TestWaiting(t *testing.T) {
	const (
		unknown = `404 {"title":"no such image","status":404}`
		broken  = `500 oops`
		busy    = `503 {"title":"too many wait","status":503}`
	)
	image := func(version, state string, deleted bool) string {
		return fmt.Sprintf(`200 {"digest":"sha256:1","deleted":%t,"replicas":[{"replica":"a","state":"there"},{"replica":"b","state":%q}],"version":%q}`, deleted, state, version)
	}
	for _, c := range []struct {
		name    string
		answers []string
		timeout time.Duration
		code    int
		results string
	}{
		{"at once", []string{image("1", "there", false)}, time.Minute, 0, "there"},
		{"after a while", []string{unknown, image("1", "pending", false), image("1", "pending", false),
			image("2", "failed", false), image("3", "there", false)}, time.Minute, 0, "waiting waiting there"},
		{"through a restart", []string{image("1", "pending", false), broken, busy, image("2", "there", false)},
			time.Minute, 0, "waiting there"},
		{"never", []string{image("1", "pending", false)}, 0, 1, "timeout"},
		{"unknown", []string{unknown}, 0, 1, "unknown"},
		{"deleted", []string{image("1", "there", true)}, 0, 1, "deleted"},
		{"deleted meanwhile", []string{image("1", "pending", false), unknown, image("2", "there", false)}, time.Minute,
			0, "waiting waiting there"},
	} {
		asked, last := 0, ""
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status, body, _ := strings.Cut(c.answers[min(asked, len(c.answers)-1)], " ")
			asked++
			if after := r.URL.Query().Get("after"); after != last {
				t.Errorf("%s: it asks for what comes after %q, not %q", c.name, after, last)
			}
			if _, version, ok := strings.Cut(body, `"version":"`); ok {
				last = strings.TrimSuffix(version, `"}`)
			} else if status == "404" {
				last = ""
			}
			w.WriteHeader(map[string]int{"200": 200, "404": 404, "500": 500, "503": 503}[status])
			_, _ = w.Write([]byte(body))
		}))
		var out strings.Builder
		w := waiting{asking: asking{at: s.URL, output: asLines}, ref: reference{"", "app", "v1"}, out: &out,
			screen: &screen{}}
		err := w.until(t.Context(), time.Now().Add(c.timeout))
		s.Close()
		var results []string
		for line := range strings.Lines(out.String()) {
			_, rest, _ := strings.Cut(line, `"result":"`)
			result, _, _ := strings.Cut(rest, `"`)
			results = append(results, result)
		}
		if (err != nil) != (c.code != 0) || errors.As(err, new(*exitError)) || strings.Join(results, " ") != c.results {
			t.Errorf("%s: %v, %q", c.name, err, results)
		}
	}
	w := waiting{asking: asking{at: "http://127.0.0.1:1", output: asLines}, ref: reference{"", "app", "v1"},
		out: new(strings.Builder), screen: &screen{}}
	if coded := (*exitError)(nil); !errors.As(w.until(t.Context(), time.Now()), &coded) || coded.code != 2 {
		t.Error("no gateway is no 2")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.until(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
