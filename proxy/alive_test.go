package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
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
		{"busy with others", status(429), nil, "GET " + byDigest, []string{"west"}},
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
				func(c *Config) { c.Alive = s.give; c.Limits.Commit = 500 * time.Millisecond })
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
	g := newRig(t, upstreams, func(c *Config) { c.Alive = s.give })
	if there, err := g.proxy.Reach("west").Repository("app").HasBlob(t.Context(), digest); !there || err != nil {
		t.Fatal(there, err)
	}
	store := httptest.NewServer(status(200))
	t.Cleanup(store.Close)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, store.URL, nil)
	response, err := g.proxy.Reach("east").Transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := s.by(); !slices.Equal(got, []string{"west"}) {
		t.Errorf("signs of life by %v, want west", got)
	}
}

// Whoever answers in its place says nothing of the way from here to it.
func TestDetourIsNoSignOfLife(t *testing.T) {
	front := httptest.NewServer(status(200))
	t.Cleanup(front.Close)
	var s signs
	g := newRig(t, map[string]http.HandlerFunc{"west": breakOff}, func(c *Config) {
		c.Alive = s.give
		c.Detour = Detour{Scheme: "http", Front: func(name string) (string, bool) {
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
			g := newRig(t, nil, func(c *Config) {
				c.Alive = s.give
				for i := range c.Upstreams {
					c.Upstreams[i].URL, _ = url.Parse(west.URL)
					c.Upstreams[i].TLS = &tls.Config{RootCAs: roots}
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

func TestDialling(t *testing.T) {
	late, refused := os.ErrDeadlineExceeded, syscall.ECONNREFUSED
	lateFor := func(n int) []error { return slices.Repeat([]error{late}, n) }
	for _, test := range []struct {
		name     string
		address  string
		come     []error // of each try, which takes 2 s; nil is a connection
		answered bool    // others are, in each second
		tries    int
		err      error
	}{
		{"at once", "west:80", []error{nil}, false, 1, nil},
		{"late, while others are answered", "west:80", []error{late, late, nil}, true, 3, nil},
		{"late, and nobody is answered", "west:80", lateFor(2), false, 1, late},
		{"refused, while others are answered", "west:80", []error{late, refused, nil}, true, 2, refused},
		{"late for as long as a request may wait", "west:80", lateFor(99), true, 15, late},
		{"an object store", "store:80", lateFor(2), true, 1, late},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				var l *lively
				script := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					time.Sleep(time.Second)
					if test.answered {
						l.tell(time.Now())
					}
					time.Sleep(time.Second)
					tries++
					return nil, test.come[tries-1]
				}}
				u := Upstream{Name: "west", URL: &url.URL{Scheme: "http", Host: "west"}}
				l = newLively(newResending(script, time.Second), u, DefaultLimits(), func(string, time.Time) {})
				_, err := l.pool.DialContext(t.Context(), "tcp", test.address)
				if tries != test.tries || !errors.Is(err, test.err) {
					t.Errorf("%d tries, %v; want %d, %v", tries, err, test.tries, test.err)
				}
			})
		})
	}
}

// script is a connection on which so much comes at such times. The last of it comes with io.EOF.
type script struct {
	net.Conn
	began time.Time
	come  []coming
}

type coming struct {
	at    time.Duration
	bytes int
}

// Read waits for what comes next, and takes as much as there is.
func (s *script) Read(p []byte) (n int, err error) {
	if len(s.come) == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Until(s.began.Add(s.come[0].at)))
	for n < len(p) && len(s.come) > 0 && time.Since(s.began) >= s.come[0].at {
		take := min(len(p)-n, s.come[0].bytes)
		n += take
		if s.come[0].bytes -= take; s.come[0].bytes == 0 {
			s.come = s.come[1:]
		}
	}
	return n, nil
}

func TestLineKnowsWhatIsNew(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name  string
		come  []coming
		every time.Duration   // the reader takes 10 bytes that often
		want  []time.Duration // after each read, since when what it read has come at the earliest
	}{
		{"the reader waits", []coming{{s, 3}, {2 * s, 10}, {4 * s, 3}, {5 * s, 3}}, 0, []time.Duration{0, s, s, 4 * s}},
		{"the reader is slow", []coming{{0, 40}}, 60 * s, []time.Duration{0, 0, 0, 0}},
		{"it catches up", []coming{{0, 15}, {90 * s, 5}, {95 * s, 5}}, 30 * s, []time.Duration{0, 0, 30 * s, 90 * s}},
		{"it falls behind", []coming{{1 * s, 5}, {2 * s, 40}}, 10 * s, []time.Duration{0, 1 * s, 1 * s, 1 * s}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				l := &line{Conn: &script{began: began, come: slices.Clone(test.come)}, made: began}
				var got []time.Duration
				for range test.want {
					if _, err := l.Read(make([]byte, 10)); err != nil {
						t.Fatal(err)
					}
					got = append(got, l.cameAfter().Sub(began))
					time.Sleep(test.every)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("got %v, want %v", got, test.want)
				}
			})
		})
	}
}

// A replica that hangs with megabytes on their way to a slow client gives no sign of life by them.
func TestLineOfASlowClient(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := &line{Conn: conn, made: time.Now()}
	replica, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer replica.Close()
	if _, err := replica.Write(make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	hangs := time.Now()
	for range 64 {
		if _, err := io.ReadFull(l, make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if l.cameAfter().After(hangs) {
		t.Error("what had come before is taken for new")
	}
}
