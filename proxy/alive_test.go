package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/upstream"
)

// signs are those that a rig's replicas gave.
type signs struct {
	mu  sync.Mutex
	all map[string][]time.Time // Guarded by mu.
}

func (s *signs) give(replica string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string][]time.Time{}
	}
	s.all[replica] = append(s.all[replica], at)
}

// by lists who gave any.
func (s *signs) by() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// since reports whether a replica gave one after a moment.
func (s *signs) since(replica string, moment time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.all[replica], func(at time.Time) bool { return at.After(moment) })
}

func TestAnswersAreSignsOfLife(t *testing.T) {
	t.Parallel()
	none := []string{}
	for _, test := range []struct {
		name       string
		west, east http.HandlerFunc
		line       string
		want       []string
	}{
		{"a blob", status(200), nil, "GET " + byDigest, []string{"west"}},
		{"an answer without a body", status(200), nil, "HEAD " + byDigest, []string{"west"}},
		{"a login is asked for", status(401), nil, "GET " + byDigest, []string{"west"}},
		{"busy with others", status(429), nil, "GET " + byDigest, []string{"east", "west"}},
		{"not here, but there", status(404), status(200), "GET " + byDigest, []string{"east", "west"}},
		{"fails", status(500), status(200), "GET " + byDigest, []string{"east"}},
		{"somebody says that it is gone", status(503), status(200), "GET " + byDigest, []string{"east"}},
		{"breaks off", breakOff, status(200), "GET " + byDigest, []string{"east"}},
		{"hangs", hang, status(200), "GET " + byDigest, []string{"east"}},
		{"takes a write", status(201), nil, "POST " + uploads, []string{"west"}},
		{"hangs in a write", hang, nil, "PATCH " + uploads + "1?fairlead-replica=west", none},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s signs
			g := newHastyRig(t, map[string]http.HandlerFunc{"west": test.west, "east": test.east, "europe": breakOff},
				func(c *rigConfig) { c.way.Alive = s.give; c.Limits.Commit = 500 * time.Millisecond })
			g.do(test.line, nil)
			if got := s.by(); !slices.Equal(got, test.want) {
				t.Errorf("signs of life by %v, want %v", got, test.want)
			}
		})
	}
}

// What is copied counts as what clients ask for does; an object store that a replica redirects to is not the replica.
func TestCopyingGivesSignsOfLife(t *testing.T) {
	var s signs
	upstreams := map[string]http.HandlerFunc{"west": status(200), "east": breakOff}
	g := newRig(t, upstreams, func(c *rigConfig) { c.way.Alive = s.give })
	if there, err := g.proxy.Upstreams.Reach("west").Repository("app").HasBlob(t.Context(), digest); !there ||
		err != nil {
		t.Fatal(there, err)
	}
	store := httptest.NewServer(status(200))
	t.Cleanup(store.Close)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, store.URL, nil)
	response, err := g.proxy.Upstreams.Reach("east").Transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := s.by(); !slices.Equal(got, []string{"west"}) {
		t.Errorf("signs of life by %v, want west", got)
	}
}

// Whoever answers in its place says nothing of the way from here to it.
func TestRelayIsNoSignOfLife(t *testing.T) {
	front := httptest.NewServer(status(200))
	t.Cleanup(front.Close)
	var s signs
	g := newRig(t, map[string]http.HandlerFunc{"west": breakOff}, func(c *rigConfig) {
		c.way.Alive = s.give
		c.reach.Relay = upstream.Relay{Scheme: "http", Front: func(name string) (string, bool) {
			return front.Listener.Addr().String(), name == "west"
		}}
	})
	g.want(g.do("GET "+byDigest, nil), 200, "west; reason=nearest")
	if got := s.by(); len(got) > 0 {
		t.Errorf("signs of life by %v, want none", got)
	}
}

// A large layer on a slow line may be all that a replica answers for minutes.
func TestMovingBodyIsASignOfLife(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){
		"in clear text": (*httptest.Server).Start, "TLS": (*httptest.Server).StartTLS,
	} {
		t.Run(name, func(t *testing.T) {
			var s signs
			next := make(chan struct{})
			west := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for range next {
					_, _ = io.WriteString(w, "x")
					_ = http.NewResponseController(w).Flush()
				}
			}))
			start(west)
			t.Cleanup(west.Close)
			roots := x509.NewCertPool()
			if west.Certificate() != nil {
				roots.AddCert(west.Certificate())
			}
			g := newRig(t, nil, func(c *rigConfig) {
				c.way.Alive = s.give
				for i := range c.reach.Endpoints {
					c.reach.Endpoints[i].URL, _ = url.Parse(west.URL)
					c.reach.Endpoints[i].TLS = &tls.Config{RootCAs: roots}
				}
			})
			go func() { next <- struct{}{} }()
			response, err := http.Get(g.gateway.URL + "/v2/app/blobs/" + digest)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			one := make([]byte, 1)
			read := func() {
				if _, err := io.ReadFull(response.Body, one); err != nil {
					t.Fatal(err)
				}
			}
			read()
			for range 3 {
				before := time.Now()
				next <- struct{}{}
				read()
				next <- struct{}{} // came after the one before was read, and that after before
				read()
				if !s.since("west", before) {
					t.Error("a body has moved, and that was no sign of life")
				}
			}
			close(next)
		})
	}
}
