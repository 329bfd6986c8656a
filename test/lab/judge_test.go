package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const blob = "a blob"

// holding is a registry that has an image of one blob, without the parts that are named; what is named with a ~ before
// it has other content than it should.
func holding(t *testing.T, without ...string) string {
	doc := document{SchemaVersion: 2, Config: &descriptor{Digest: digestOf(nil)},
		Layers: []descriptor{{Digest: digestOf([]byte(blob))}}}
	manifest, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for path, content := range map[string]string{
		"/v2/app/manifests/" + imageTag:           string(manifest),
		"/v2/app/blobs/" + digestOf([]byte(blob)): blob,
		"/v2/app/blobs/" + digestOf(nil):          "",
	} {
		gone := false
		for _, part := range without {
			gone = gone || strings.Contains(path, part)
			if name, other := strings.CutPrefix(part, "~"); other && strings.Contains(path, name) {
				content = "other"
			}
		}
		if !gone {
			mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) })
		}
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestJudge(t *testing.T) {
	whole, nothing := holding(t), holding(t, "manifests", "blobs")
	noLayer, onlyParts := holding(t, digestOf([]byte(blob))), holding(t, "manifests")
	for _, c := range []struct {
		name       string
		pushed     error
		registries []string
		want       string
	}{
		{"whole on one", nil, []string{nothing, whole}, ok},
		{"whole on both", nil, []string{whole, whole}, ok},
		{"whole on one, stray parts on the other", nil, []string{whole, onlyParts}, ok},
		{"a layer is missing", nil, []string{nothing, noLayer}, damaged},
		{"a layer is not what it should be", nil, []string{holding(t, "~"+digestOf([]byte(blob)))}, damaged},
		{"the layer is elsewhere", nil, []string{onlyParts, noLayer}, damaged},
		{"whole on one, the tag alone on the other", nil, []string{whole, noLayer}, damaged},
		{"nowhere", nil, []string{nothing, onlyParts}, damaged},
		{"the client says no", errors.New("exit status 1"), []string{whole, nothing}, failed},
		{"the client was killed", fmt.Errorf("%w after 3m", errHung), []string{whole, nothing}, hung},
	} {
		got, err := judge(t.Context(), image{repository: "app"}, c.pushed, c.registries, nil)
		if err != nil || got.outcome != c.want {
			t.Errorf("%s: %v, not %s: %v", c.name, got, c.want, err)
		}
	}
	if _, err := judge(t.Context(), image{repository: "app"}, nil, []string{"127.0.0.1:1"}, nil); err == nil {
		t.Error("a registry that does not answer is no verdict")
	}
}

func TestLastLine(t *testing.T) {
	got := lastLine("1st\ntime=\"2026-11-22T04:55:17Z\" level=fatal /v2/crane/c12-p3/blobs/uploads/7340165449349238145: blob sha256:" + strings.Repeat("0a", 32) + " unknown, ?_state=" + strings.Repeat("x-Y", 20) + "%3D%3D\" EOF\n\n")
	if want := `…level=fatal /v2/crane/…/blobs/uploads/…: blob sha256:… unknown, ?…" EOF`; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestPace(t *testing.T) {
	p, now := newPace(usualSize, time.Second), time.Now()
	p.begin()
	for _, c := range []struct {
		bytes int
		want  time.Duration
	}{{p.each, 0}, {p.each / 2, time.Second}, {1, 1500 * time.Millisecond}} {
		if got := p.take(c.bytes, now); got.Round(time.Millisecond) != c.want {
			t.Errorf("wait %v, not %v", got, c.want)
		}
	}
	p.begin()
	later := now.Add(time.Minute)
	p.take(p.each, later)
	if got := p.take(1, later); got.Round(time.Millisecond) != time.Second/2 {
		t.Errorf("two pushes under way: wait %v", got)
	}
}

func TestAnswers(t *testing.T) {
	ips := []string{"a", "b"}
	next := func(a answers) string { ip, _ := a.next(); return ip }
	a := alternately(ips)
	first, second, third := next(a), next(a), next(a)
	if first == second || first != third {
		t.Errorf("it does not alternate: %s %s %s", first, second, third)
	}
	synctest.Test(t, func(t *testing.T) {
		a := flipping(ips)
		for i := range 6 { // every flipEvery/2
			if got, want := next(a), ips[i/2%2]; got != want {
				t.Errorf("after %v: %s, not %s", time.Duration(i)*flipEvery/2, got, want)
			}
			time.Sleep(flipEvery / 2)
		}
	})
}

func TestMoment(t *testing.T) {
	first := moment("crane", 1)
	again, next, other := moment("crane", 1), moment("crane", 2), moment("docker", 1)
	if first != again || first == next || first == other {
		t.Errorf("a moment belongs to a client and a round: %v %v %v %v", first, again, next, other)
	}
}
