package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestTraceID(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for value, want := range map[string]string{
		trace:                               id,
		"00-" + id + "-00f067aa0ba902b7-ff": id, // flags that nobody knows yet
		"01-" + id + "-00f067aa0ba902b7-01": id,
		"01-" + id + "-00f067aa0ba902b7-01-more of a later version": id,
		"00-" + id + "-00f067aa0ba902b7-01-more":                    "",
		"01-" + id + "-00f067aa0ba902b7-01more":                     "",
		"ff-" + id + "-00f067aa0ba902b7-01":                         "",
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01":    "",
		"00-" + id + "-0000000000000000-01":                         "",
		"00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01":        "",
		"00-" + id + "-00f067aa0ba902b7-0":                          "",
		"00-" + id[:31] + "--0f067aa0ba902b7-01":                    "",
		"00-" + id[:30] + "\"\n-00f067aa0ba902b7-01":                "",
		"00" + id + "-00f067aa0ba902b7-01---":                       "",
		"":                                                          "",
	} {
		if got := traceID(http.Header{traceParent: {value}}); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
	if got := traceID(http.Header{traceParent: {trace, trace}}); got != "" {
		t.Errorf("of two there is none: %q", got)
	}
	if got := traceID(nil); got != "" {
		t.Error(got)
	}
}

// TestTraceGoesAlong: replicas get the trace as it came, valid or not, and none where there is none. What the gateway
// asks of replicas for a push belongs to the push's trace, if that is one.
func TestTraceGoesAlong(t *testing.T) {
	for _, test := range []struct {
		name    string
		headers []string
		asked   []string // what each request bears
		healing []string // the same, of what the gateway does by itself
	}{
		{"a trace", []string{"traceparent: " + trace, "tracestate: a=1", "tracestate: b=2"},
			[]string{trace, "a=1", "b=2"}, []string{trace, "a=1", "b=2"}},
		{"none", nil, nil, nil},
		{"no valid one", []string{"traceparent: 00-0-0-0", "tracestate: a=1"}, []string{"00-0-0-0", "a=1"}, nil},
		{"two", []string{"traceparent: " + trace, "traceparent: " + trace}, []string{trace, trace}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScattered(t)
			s.at["east"].blob("config")
			heard := s.hear()
			s.want(s.do("GET /v2/app/tags/list", nil, test.headers...), 404, "west; reason=nearest")
			if got := heard(); len(got["GET"]) == 0 || !all(got["GET"], test.asked) {
				t.Errorf("a read bears %q, want %q", got, test.asked)
			}
			s.do("HEAD /v2/app/blobs/"+digest, nil, test.headers...)
			s.do("DELETE /v2/app/manifests/v2", nil, test.headers...)
			for method, got := range heard() { // on all replicas
				if len(got) < 3 || !all(got, test.asked) {
					t.Errorf("%s bears %q, want %q", method, got, test.asked)
				}
			}
			got := s.do("PUT /v2/app/manifests/v1", strings.NewReader(string(imageOf("config"))), test.headers...)
			s.want(got, 201, "west; reason=bound")
			bears := heard()
			if !all(bears["PUT manifests"], test.asked) {
				t.Errorf("the manifest bears %q, want %q", bears["PUT manifests"], test.asked)
			}
			for _, line := range []string{"HEAD", "GET", "POST", "PUT"} {
				if len(bears[line]) == 0 || !all(bears[line], test.healing) {
					t.Errorf("%s of healing bears %q, want %q", line, bears[line], test.healing)
				}
			}
		})
	}
}

func all(got [][]string, want []string) bool {
	return !slices.ContainsFunc(got, func(one []string) bool { return !slices.Equal(one, want) })
}

// hear returns what the requests to all replicas bore of a trace, since the last call: by method, those of the manifest
// that is put by themselves.
func (g *rig) hear() func() map[string][][]string {
	heard := map[string][][]string{}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listen = func(r *http.Request) {
		line := r.Method
		if strings.Contains(r.URL.Path, "/manifests/") && r.Method == http.MethodPut {
			line += " manifests"
		}
		heard[line] = append(heard[line], slices.Concat(r.Header[traceParent], r.Header[traceState]))
	}
	return func() map[string][][]string {
		g.mu.Lock()
		defer g.mu.Unlock()
		got := heard
		heard = map[string][][]string{}
		return got
	}
}
