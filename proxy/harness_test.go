package proxy

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream"
	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

var points = map[string]geo.Point{
	"west":   {Lat: 37.8, Lon: -122.4},
	"east":   {Lat: 37.4, Lon: -79.8},
	"europe": {Lat: 52.4, Lon: 4.9},
}

// rig is a gateway over three replicas: west, east, europe. Its clients, all on loopback, are placed
// at west, so that the order is west, east, europe.
type rig struct {
	t        *testing.T
	proxy    *Proxy
	gateway  *httptest.Server
	fleet    atomic.Pointer[router.Fleet]
	replicas []router.Replica

	mu      sync.Mutex
	seen    []string // "west GET /v2/", in order of arrival
	trouble []string
	listen  func(*http.Request) // to all that replicas are asked
}

var quick = Limits{
	FirstByte: patience, Lists: patience, Alone: patience,
	Window: patience, Silence: patience,
	Least: 1000, AwaitHealth: 100 * time.Millisecond, Heal: 10 * time.Second, Commit: 5 * time.Second,
	Still: patience, Slow: patience, Resume: 100 * time.Millisecond,
}

// rigConfig is what a test may change: what the proxy is made of, and its way to the replicas.
type rigConfig struct {
	Config
	Settings
	way   upstream.Config
	reach upstream.Settings
	told  told
}

// told is who is told what the proxy does; nil hears nothing.
type told struct {
	committed        func(repository, digest, replica string)
	brought, recheck func(what ledger.Reference, replica string)
	missed           func(what ledger.Reference, replica string)
	pulled           func(replica string, nearest bool, bytes int)
	healed           func(source, target string, bytes int)
}

func (t *told) Committed(repository, digest, replica string) {
	if t.committed != nil {
		t.committed(repository, digest, replica)
	}
}

func (t *told) Missed(what ledger.Reference, replica string) {
	if t.missed != nil {
		t.missed(what, replica)
	}
}

func (t *told) Brought(what ledger.Reference, replica string) {
	if t.brought != nil {
		t.brought(what, replica)
	}
}

func (t *told) Recheck(what ledger.Reference, replica string) {
	if t.recheck != nil {
		t.recheck(what, replica)
	}
}

func (t *told) Pulled(replica string, nearest bool, bytes int) {
	if t.pulled != nil {
		t.pulled(replica, nearest, bytes)
	}
}

func (t *told) Healed(source, target string, bytes int) {
	if t.healed != nil {
		t.healed(source, target, bytes)
	}
}

// newHastyRig cuts what stands still after a moment, and asks the next where no answer comes, which on a busy machine
// happens to what is well: only for tests of that.
func newHastyRig(t *testing.T, upstreams map[string]http.HandlerFunc, change func(*rigConfig)) *rig {
	t.Helper()
	return newRig(t, upstreams, func(c *rigConfig) {
		c.Limits.Window, c.Limits.Silence = 300*time.Millisecond, 300*time.Millisecond
		c.Limits.FirstByte, c.Limits.Lists, c.Limits.Alone = 2*time.Second, 2*time.Second, 2*time.Second
		if change != nil {
			change(c)
		}
	})
}

func newRig(t *testing.T, upstreams map[string]http.HandlerFunc, change func(*rigConfig)) *rig {
	t.Helper()
	g := &rig{t: t}
	var c rigConfig
	c.way = upstream.Config{Hostname: "registry.contoso.com", Dial: patience, Alive: func(string, time.Time) {}}
	c.Config = Config{
		Hostname: "registry.contoso.com", Ledger: newMemoryLedger(),
		Pipes:       splice.NewPool(100),
		Fleet:       g.fleet.Load,
		Trouble:     func(name string) { g.note(&g.trouble, name) },
		OwnShortage: func(error) bool { return false },
		Registerer:  prometheus.NewRegistry(),
		Log:         slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	c.Settings = Settings{LeaseIdle: time.Minute, Limits: quick}
	for name, point := range points {
		handler := upstreams[name]
		if handler == nil {
			handler = http.NotFound
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.note(&g.seen, name+" "+r.Method+" "+r.URL.RequestURI())
			g.heard(r)
			handler(w, r)
		}))
		t.Cleanup(server.Close)
		u, _ := url.Parse(server.URL)
		c.reach.Endpoints = append(c.reach.Endpoints, upstream.Endpoint{Name: name, URL: u})
		g.replicas = append(g.replicas, router.Replica{
			Name: name, Point: point, Home: name == "europe", Operator: router.Online, Writable: true,
			Fronts:   []router.Front{{Addr: netip.MustParseAddr("127.0.0.1"), Health: router.Health{Up: true}}},
			Upstream: router.Health{Up: true},
		})
	}
	g.fleet.Store(router.NewFleet(g.replicas))
	var everywhere []geo.Network
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		everywhere = append(everywhere, geo.Network{Prefix: netip.MustParsePrefix(all), Point: points["west"]})
	}
	placed := router.NewMap(g.replicas, geo.NewNetworks(everywhere), nil)
	c.Map = func() *router.Map { return placed }
	if change != nil {
		change(&c)
	}
	c.Replication, c.Traffic, c.Writes = &c.told, &c.told, &transfer.Writes{}
	c.way.Patience = c.Limits.Alone
	c.Upstreams = upstream.New(c.way, c.reach)
	t.Cleanup(c.Upstreams.Close)
	g.proxy = New(c.Config, c.Settings)
	limiter := NewConnLimiter(1000, 1, 1<<20, prometheus.NewRegistry())
	g.gateway = httptest.NewUnstartedServer(nil)
	g.gateway.Config = NewServer(g.proxy, nil, limiter, Memory{}, DefaultLimits().silence, c.Log)
	g.gateway.Listener = Listener(g.gateway.Listener, nil, limiter, func() []netip.Prefix { return c.TrustedProxies }, c.Log)
	g.gateway.Start()
	t.Cleanup(func() { g.proxy.wantNoPlaces(t) })
	t.Cleanup(g.gateway.Close)
	t.Cleanup(g.proxy.Close)
	return g
}

// wantNoPlaces: a place that is not given back is lost for its client. Who asked a replica whose answer nobody waits for
// any more gives it back a moment later.
func (p *Proxy) wantNoPlaces(t *testing.T) {
	taken := func() (all []string) {
		p.places.mu.Lock()
		defer p.places.mu.Unlock()
		for who, own := range p.places.of {
			all = append(all, fmt.Sprintf("%v still has %d places, %d wait", who, own.taken, len(own.waiting)))
		}
		return all
	}
	for end := time.Now().Add(10 * time.Second); len(taken()) > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	for _, text := range taken() {
		t.Error(text)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

func (g *rig) note(list *[]string, what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*list = append(*list, what)
}

func (g *rig) heard(r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listen != nil {
		g.listen(r)
	}
}

// take returns what replicas have seen since the last call.
func (g *rig) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.seen
	g.seen = nil
	return seen
}

func (g *rig) troubled(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.trouble, name)
}

// set changes one replica for the requests to come.
func (g *rig) set(name string, change func(*router.Replica)) {
	i := slices.IndexFunc(g.replicas, func(r router.Replica) bool { return r.Name == name })
	change(&g.replicas[i])
	g.fleet.Store(router.NewFleet(g.replicas))
}

func down(r *router.Replica) { r.Upstream.Up = false }

type reply struct {
	status int
	by     string // Fairlead-Replica
	header http.Header
	body   string
	err    error // while reading the body

	trailer http.Header
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request,
	[]*http.Request) error {
	return http.ErrUseLastResponse
}, Timeout: patience}

// do sends "METHOD PATH" and an optional body; headers as "Name: value".
func (g *rig) do(line string, body io.Reader, headers ...string) reply {
	g.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	request, err := http.NewRequest(method, g.gateway.URL+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Add(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	response, err := noRedirects.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	return read(response)
}

// patience is when a test gives up. What is right takes a small part of it on any machine.
const patience = 2 * time.Minute

// send opens a connection to the gateway and writes text as it is.
func (g *rig) send(text string) net.Conn {
	g.t.Helper()
	conn, err := net.Dial("tcp", g.gateway.Listener.Addr().String())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, text)
	return conn
}

// plain is a request as it goes over the wire.
func plain(line, body string, headers ...string) string {
	headers = append(headers, "Host: registry.contoso.com")
	if body != "" {
		headers = append(headers, "Content-Length: "+strconv.Itoa(len(body)))
	}
	return line + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
}

// next reads the next answer to a request of that method.
func (g *rig) next(from *bufio.Reader, method string) reply {
	g.t.Helper()
	for {
		response, err := http.ReadResponse(from, &http.Request{Method: method})
		if err != nil {
			g.t.Fatal(err)
		}
		if response.StatusCode == http.StatusContinue {
			continue // net/http's own, and now and then the replica's as well: both may come (RFC 9110, 15.2)
		}
		defer response.Body.Close()
		return read(response)
	}
}

func read(response *http.Response) reply {
	content, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header.Get(replicaHeader), response.Header, string(content), err,
		response.Trailer}
}

// serve puts the clients' server as it is in production in the place of the plain one. start starts it.
func (g *rig) serve(start func(*httptest.Server)) {
	s := httptest.NewUnstartedServer(nil)
	limiter := NewConnLimiter(100, 1, 1<<20, prometheus.NewRegistry())
	s.Config = NewServer(g.proxy, nil, limiter, Memory{}, DefaultLimits().silence, g.proxy.Log)
	start(s)
	g.t.Cleanup(s.Close)
	g.gateway = s
}

func await[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain for ", what)
	}
	return got
}

// counted is how many requests the metrics show with this status.
func (g *rig) counted(code string) (n float64) {
	g.t.Helper()
	families, err := g.proxy.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "code" && label.GetValue() == code {
					n += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

func (r reply) String() string { return fmt.Sprintf("%d [%s] %s", r.status, r.by, r.body) }

func (g *rig) want(got reply, status int, by string) {
	g.t.Helper()
	if got.status != status || got.by != by {
		g.t.Errorf("got %v %v, want %d [%s]", got, got.err, status, by)
	}
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(code)
		if code == http.StatusOK && r.Method != http.MethodHead {
			_, _ = io.WriteString(w, content)
		}
	}
}

// theRest answers a range that begins at the fourth byte.
func theRest(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Range", "bytes 3-6/7")
	w.WriteHeader(http.StatusPartialContent)
	_, _ = io.WriteString(w, content[3:])
}

// hang never answers, until its client has gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// breakOff closes the connection without an answer.
func breakOff(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// update changes the proxy's settings for the requests to come.
func (g *rig) update(change func(*Settings)) {
	s := *g.proxy.settings.Load()
	change(&s)
	g.proxy.Update(s)
}

// nobody is a trusted proxy.
func nobody() []netip.Prefix { return nil }

func (l Limits) silence() time.Duration { return l.Silence }
