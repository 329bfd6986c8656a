package webhook

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// site is a Service with the clock of its test.
type site struct {
	*Service

	mu    sync.Mutex
	ahead time.Duration // Guarded by mu.
}

type setup struct {
	dir           string
	inFile        []subscription.Subscription
	refusePrivate bool
	maxPending    int64
	maxLogged     uint64
}

func openSite(t *testing.T, o setup) *site {
	t.Helper()
	s, err := tryOpen(t, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func tryOpen(t *testing.T, o setup) (*site, error) {
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	if o.maxPending == 0 {
		o.maxPending, o.maxLogged = maxPending, maxLogged
	}
	s := &site{}
	var err error
	s.Service, err = open(Config{
		Dir: o.dir, Settings: Settings{InFile: o.inFile, AllowPrivate: !o.refusePrivate}, Now: s.clock,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: prometheus.NewRegistry(),
	}, o.maxPending, o.maxLogged)
	return s, err
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// skip sets the clock ahead, and makes Run look at it.
func (s *site) skip(d time.Duration) {
	s.mu.Lock()
	s.ahead += d
	s.mu.Unlock()
	s.wakeRun()
}

// run delivers until the test, or stop, ends it.
func (s *site) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func (s *site) publish(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := s.Publish(image(id)); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *site) events(t *testing.T, name string) []Delivery {
	t.Helper()
	list, err := s.ListEvents(name)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// states is the list of events in short.
func (s *site) states(t *testing.T, name string) string {
	t.Helper()
	var out []string
	for _, d := range s.events(t, name) {
		out = append(out, fmt.Sprintf("%s %s %d", d.ID, d.State, d.Attempts))
	}
	return strings.Join(out, ", ")
}

func (s *site) attemptsThat(r result) float64 {
	return testutil.ToFloat64(s.metrics.attempts.WithLabelValues(string(r)))
}

func (s *site) endedAs(state State) float64 {
	return testutil.ToFloat64(s.metrics.ended.WithLabelValues(string(state)))
}

// poll waits for what must come true. The bound only keeps a broken test from hanging.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 3*time.Minute {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// taken is a request that a receiver took.
type taken struct {
	id     string
	header http.Header
	body   string
}

// inbox is a receiver's memory.
type inbox struct {
	mu   sync.Mutex
	list []taken // Guarded by mu.
}

func (i *inbox) take(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.list = append(i.list, taken{r.Header.Get(headerDelivery), r.Header, string(body)})
}

func (i *inbox) all() []taken {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]taken{}, i.list...)
}

// ids counts how often each came.
func (i *inbox) ids() map[string]int {
	out := map[string]int{}
	for _, r := range i.all() {
		out[r.id]++
	}
	return out
}

// listen is a receiver on loopback that takes everything, then answers as told.
func listen(t *testing.T, answer http.HandlerFunc) (*inbox, string) {
	t.Helper()
	box := &inbox{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		box.take(r)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return box, server.URL
}

func fine(http.ResponseWriter, *http.Request) {}

// wire is a network of functions, for tests whose clock stands still.
type wire func(*http.Request) (*http.Response, error)

func (f wire) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func status(code int) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody}
}
