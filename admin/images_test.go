package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// shop is what a gateway knows, in a test.
type shop struct {
	mu      sync.Mutex
	image   Image         // Guarded by mu.
	known   bool          // Guarded by mu.
	err     error         // Guarded by mu.
	looks   int           // Guarded by mu.
	changed chan struct{} // Guarded by mu.
}

func (s *shop) config() Config {
	return Config{
		Gatherer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Image: func(_ context.Context, repository, reference string, children bool) (Image, bool, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.looks++
			i := s.image
			i.Repository, i.Reference = repository, reference
			if children {
				i.Children = []Child{{Digest: "sha256:2"}}
			}
			return i, s.known, s.err
		},
		Changed: func() <-chan struct{} { s.mu.Lock(); defer s.mu.Unlock(); return s.changed },
		Retry:   func(replica, repository, reference string) int { return len(replica + repository + reference) },
		Conflicts: func() (Conflicts, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return Conflicts{Total: 7}, s.err
		},
		Failures:    func() []Failure { return []Failure{{Replica: "eastus", Reason: "full"}} },
		Replication: func() Replication { return Replication{Conflicts: 3} },
		Egress:      func() Egress { return Egress{Here: "westus"} },
	}
}

func (s *shop) set(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.image.Digest, s.known = digest, true
	close(s.changed)
	s.changed = make(chan struct{})
}

func TestImages(t *testing.T) {
	s := &shop{changed: make(chan struct{})}
	handler := New(s.config())
	for _, test := range []struct {
		line     string
		status   int
		contains string
	}{
		{"GET /images", 400, "are required"},
		{"GET /images?repository=app", 400, "are required"},
		{"GET /images?repository=app&reference=v1&wait=1h", 400, `"status":400`},
		{"GET /images?repository=app&reference=v1&wait=-1s", 400, "wait is from 0s to 30s"},
		{"GET /images?repository=app&reference=v1&wait=soon", 400, "wait is from 0s to 30s"},
		{"GET /images?repository=app&reference=v1", 404, "neither pushed nor deleted"},
		{"GET /images?repository=team%2Fapp&reference=v1", 200, `"repository": "team/app"`},
		{"GET /images?repository=app&reference=v1&children", 200, `"digest": "sha256:2"`},
		{"DELETE /images?repository=app&reference=v1", 405, `"status":405`},
		{"GET /egress", 200, `"here": "westus"`},
		{"GET /replication", 200, `"conflicts": 3`},
		{"GET /replication/failures", 200, `"reason": "full"`},
		{"GET /replication/conflicts", 200, `"total": 7`},
		{"POST /replication/retry?replica=a&repository=bb&reference=ccc", 200, `"count": 6`},
		{"GET /replication/retry", 404, `"status":404`},
	} {
		if strings.Contains(test.contains, "team/app") {
			s.set("sha256:1")
		}
		method, path, _ := strings.Cut(test.line, " ")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, "http://127.0.0.1"+path, nil))
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.contains) {
			t.Errorf("%s: %d %s, want %d with %q", test.line, w.Code, w.Body, test.status, test.contains)
		}
	}
	s.err = errors.New("disk")
	for _, path := range []string{"/images?repository=app&reference=v1", "/replication/conflicts"} {
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://[::1]:9180"+path, nil)); w.Code != 503 ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestLongPoll: an answer comes with the change, not before and not much later, and with none at the end of the wait.
func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{changed: make(chan struct{})}
		handler := New(s.config())
		type answer struct {
			status int
			image  Image
			took   time.Duration
		}
		ask := func(after string) <-chan answer {
			done := make(chan answer, 1)
			began := time.Now()
			go func() {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet,
					"http://localhost:9180/images?repository=app&reference=v1&wait=20s&after="+after, nil))
				a := answer{status: w.Code, took: time.Since(began)}
				_ = json.Unmarshal(w.Body.Bytes(), &a.image)
				done <- a
			}()
			return done
		}
		if a := <-ask(""); a.status != 404 || a.took != 20*time.Second {
			t.Errorf("never known: %+v", a)
		}
		pending := ask("")
		time.Sleep(5500 * time.Millisecond)
		s.set("sha256:1")
		a := <-pending
		if a.status != 200 || a.image.Digest != "sha256:1" || a.took > 5700*time.Millisecond {
			t.Errorf("known after 5.5 s: %+v", a)
		}
		if again := <-ask(""); again.took != 0 || again.image.Version != a.image.Version {
			t.Errorf("known: %+v", again)
		}
		pending = ask(a.image.Version)
		s.mu.Lock()
		s.looks = 0
		s.mu.Unlock()
		for range 1000 { // others write all the time
			s.mu.Lock()
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
		s.mu.Lock()
		if s.looks > 12 {
			t.Errorf("%d looks in a second", s.looks)
		}
		s.image.Replicas = []Place{{Replica: "a", State: Failed}} // nobody tells of that
		s.mu.Unlock()
		if b := <-pending; b.image.Version == a.image.Version || len(b.image.Replicas) != 1 || b.took > 3*time.Second {
			t.Errorf("failed after a second: %+v", b)
		} else if c := <-ask(b.image.Version); c.status != 200 || c.image.Version != b.image.Version ||
			c.took != 20*time.Second {
			t.Errorf("no other: %+v", c)
		}
	})
}

func TestTooManyPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{changed: make(chan struct{})}
		handler := New(s.config())
		codes := make(chan int, 2*maxPolls)
		for range maxPolls + 5 {
			go func() {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet,
					"http://localhost:9180/images?repository=app&reference=v1&wait=20s", nil))
				codes <- w.Code
			}()
		}
		synctest.Wait()
		if len(codes) != 5 {
			t.Fatalf("%d were answered at once", len(codes))
		}
		for range 5 {
			if code := <-codes; code != 503 {
				t.Error(code)
			}
		}
		for range maxPolls {
			if code := <-codes; code != 404 {
				t.Error(code)
			}
		}
	})
}
