package test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is an upstream that refuses on cue and remembers what was asked of it: what a real registry cannot be made
// to do.
type fake struct {
	address string

	mu    sync.Mutex
	paths map[string]bool // request URIs as they came; guarded by mu
}

// startFake answers /v2/ with 200 and all else with what answer says.
func startFake(t testing.TB, answer func(r *http.Request) int) *fake {
	t.Helper()
	l, err := net.Listen("tcp", freeAddress(t, "127.0.0.1"))
	must(t, err)
	f := &fake{address: l.Addr().String(), paths: map[string]bool{}}
	server := &http.Server{Handler: f.handler(answer), ReadHeaderTimeout: time.Minute, ErrorLog: silent}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return f
}

// handler is no ServeMux: that would clean paths before they are seen.
func (f *fake) handler(answer func(r *http.Request) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		f.mu.Lock()
		if len(f.paths) < 50_000 {
			f.paths[r.RequestURI] = true
		}
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		status := answer(r)
		w.WriteHeader(status)
		if status == http.StatusOK {
			_, _ = w.Write([]byte("{}")) // the least that may be a manifest
		}
	}
}

func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for p := range f.paths {
		all = append(all, p)
	}
	return all
}

// refusal is the status that a repository's name asks for: refused-401/… and so on.
func refusal(r *http.Request) int {
	for _, c := range refusals {
		if strings.HasPrefix(r.URL.Path, "/v2/"+c.prefix) {
			return c.status
		}
	}
	return http.StatusNotFound
}

var refusals = []struct {
	prefix string
	status int
}{
	{"refused-401", http.StatusUnauthorized},
	{"refused-403", http.StatusForbidden},
	{"refused-404", http.StatusNotFound},
}
