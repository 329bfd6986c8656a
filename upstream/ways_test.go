package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// serverOf is one that says its name, and counts its connections.
type serverOf struct {
	*httptest.Server
	conns atomic.Int64 // made
	open  atomic.Int64
	goOn  chan struct{} // closed when what is slow may end
}

func newServer(t *testing.T, name string) *serverOf {
	goOn := make(chan struct{})
	s := &serverOf{goOn: goOn, Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-goOn
		}
		_, _ = io.WriteString(w, name)
	}))}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.conns.Add(1)
			s.open.Add(1)
		case http.StateClosed:
			s.open.Add(-1)
		case http.StateActive, http.StateIdle, http.StateHijacked:
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *serverOf) endpoint(name, incarnation string) Endpoint {
	u, _ := url.Parse(s.URL)
	return Endpoint{Name: name, Incarnation: incarnation, URL: u}
}

func newWays(t *testing.T, endpoints ...Endpoint) *Transports {
	to := New(Config{Dial: time.Minute, Patience: time.Minute, Alive: func(string, time.Time) {}},
		Settings{Endpoints: endpoints})
	t.Cleanup(to.Close)
	return to
}

func get(to *Transports, replica, incarnation string) (string, error) {
	request, _ := http.NewRequest(http.MethodGet, "http://registry/v2/", nil)
	return text(to.Send(replica, incarnation, request, false, nil))
}

func through(r transfer.Replica) (string, error) {
	request, _ := http.NewRequest(http.MethodGet, r.URL.String()+"/v2/", nil)
	return text(r.Transport.RoundTrip(request))
}

func text(response *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// TestUpdate: what does not change keeps its connection; another registry under an old name is another one, for whoever
// has decided before and for whoever keeps a way.
func TestUpdate(t *testing.T) {
	one, two := newServer(t, "one"), newServer(t, "two")
	west := one.endpoint("west", "1")
	for _, tt := range []struct {
		name          string
		after         []Endpoint
		west          string // what an answer for any incarnation is of
		kept          string // what whoever had the way before gets; "": ErrGone
		decidedBefore string
		keepsConn     bool
	}{
		{"the same", []Endpoint{one.endpoint("west", "1")}, "one", "one", "one", true},
		{"one more", []Endpoint{west, two.endpoint("east", "2")}, "one", "one", "one", true},
		{"another host to send", []Endpoint{{Name: "west", Incarnation: "1", URL: west.URL, Host: "h"}}, "one", "one",
			"one", true},
		{"other certificates", []Endpoint{{Name: "west", Incarnation: "1", URL: west.URL, TLS: &tls.Config{}}}, "one",
			"one", "one", false},
		{"another registry", []Endpoint{two.endpoint("west", "2")}, "two", "", "one", false},
		{"another storage", []Endpoint{one.endpoint("west", "2")}, "one", "", "one", false},
		{"gone", []Endpoint{two.endpoint("east", "2")}, "", "", "one", false},
	} {
		to := newWays(t, west)
		before := to.Reach("west")
		if _, err := get(to, "west", "1"); err != nil {
			t.Fatal(err)
		}
		made := one.conns.Load()
		to.Update(Settings{Endpoints: tt.after})
		got, err := get(to, "west", "1")
		if got != tt.decidedBefore {
			t.Errorf("%s: decided before: %q, %v", tt.name, got, err)
		}
		if keeps := one.conns.Load() == made; keeps != tt.keepsConn {
			t.Errorf("%s: keeps its connection: %v", tt.name, keeps)
		}
		if tt.west != "" {
			if got, err = get(to, "west", ""); got != tt.west {
				t.Errorf("%s: %q, %v", tt.name, got, err)
			}
		}
		got, err = through(before)
		if got != tt.kept || (tt.kept == "") != errors.Is(err, ErrGone) {
			t.Errorf("%s: who kept a way: %q, %v", tt.name, got, err)
		}
		direct, _ := http.NewRequest(http.MethodGet, "http://registry/v2/", nil)
		if _, err = to.Direct("nowhere").RoundTrip(direct); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if _, err = through(to.Reach("nowhere")); !errors.Is(err, ErrGone) || to.Endpoint("nowhere").URL == nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if _, err = get(to, "nowhere", ""); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", tt.name, err)
		}
		to.Close()
	}
}

// TestUpdateUnderLoad: a request that is under way ends where it began, none fails that need not, and what has no way any
// more leaves neither goroutine nor connection behind.
func TestUpdateUnderLoad(t *testing.T) {
	one, two := newServer(t, "one"), newServer(t, "two")
	to := newWays(t, one.endpoint("west", "1"), two.endpoint("east", "2"))
	if _, err := get(to, "west", "1"); err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				if got, err := get(to, "west", ""); err != nil {
					t.Error(got, err)
				}
			}
		})
	}
	request, _ := http.NewRequest(http.MethodGet, "http://registry/slow", nil)
	slow, err := to.Send("east", "2", request, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		endpoints := []Endpoint{one.endpoint("west", "1")}
		if i%2 == 0 {
			endpoints[0] = two.endpoint("west", "3")
		}
		to.Update(Settings{Endpoints: endpoints})
	}
	close(two.goOn)
	if got, err := text(slow, nil); got != "two" || err != nil {
		t.Errorf("what was under way: %q, %v", got, err)
	}
	cancel()
	all.Wait()
	to.Update(Settings{})
	to.Update(Settings{})
	for end := time.Now().Add(20 * time.Second); one.open.Load()+two.open.Load() > 0 ||
		runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d and %d connections, %d goroutines, %d before", one.open.Load(), two.open.Load(),
				runtime.NumGoroutine(), goroutines)
		}
	}
}
