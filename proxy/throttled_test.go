package proxy

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/proxy/accesslog"
	"github.com/fairlead-gateway/fairlead/router"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		value, date string
		wait        time.Duration
		said        bool
	}{
		{"", "", 0, false},
		{"7", "", 7 * time.Second, true},
		{"0", "", 0, true},
		{"300", "", 5 * time.Minute, true},
		{"301", "", 5 * time.Minute, true},
		{"99999999999999999999999", "", 5 * time.Minute, true},
		{"-7", "", 0, false},
		{"7.5", "", 0, false},
		{"soon", "", 0, false},
		{"Mon, 30 Nov 2026 12:00:20 GMT", "", 20 * time.Second, true},
		{"Mon, 30 Nov 2026 11:00:20 GMT", "Mon, 30 Nov 2026 11:00:00 GMT", 20 * time.Second, true},
		{"Mon, 30 Nov 2026 12:00:20 GMT", "today", 20 * time.Second, true},
		{"Mon, 30 Nov 2026 11:00:00 GMT", "", 0, true},
		{"Mon, 30 Nov 2099 11:00:00 GMT", "", 5 * time.Minute, true},
	} {
		header := http.Header{"Retry-After": {test.value}, "Date": {test.date}}
		if wait, said := retryAfterOf(header, now); wait != test.wait || said != test.said {
			t.Errorf("%q at %q: %v %v, want %v %v", test.value, test.date, wait, said, test.wait, test.said)
		}
	}
}

func TestThrottled(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	// A step is one of: "A 10s" a 429 for client A, "+5s" time goes by, "A=west" or "A=" what A does not ask first.
	for _, test := range []struct{ name, steps string }{
		{"one client's wait is its own", "A= A:10s A=west B= +9s A=west +1s A="},
		{"the newest word counts", "A:10s A:2s +2s A="},
		{"two clients say nothing of the others", "A:10s B:10s C="},
		{"three do, while the waits of all of them last", "A:10s B:20s C:30s D=west +10s A= B=west C=west D= +10s B= C=west"},
		{"the same one three times is one", "A:10s A:10s A:10s B="},
		{"a wait that is over does not count", "A:1s +1s B:10s C:10s D="},
		{"a fourth takes the place of the one whose wait ends first", "A:1s B:10s C:10s D:10s +1s A=west E=west +9s E="},
		{"a host of IPv6 is one client", "2001:db8::1:10s 2001:db8::2:10s 2001:db8::3:10s 2001:db8::4=west B="},
	} {
		t.Run(test.name, func(t *testing.T) {
			of, now := newThrottled(100), start
			for step := range strings.FieldsSeq(test.steps) {
				if d, ok := strings.CutPrefix(step, "+"); ok {
					now = now.Add(duration(t, d))
					continue
				}
				if who, want, ok := strings.Cut(step, "="); ok {
					if got := strings.Join(of.names(clientOf(who), now), ","); got != want {
						t.Fatalf("after %v, at %s: %q", now.Sub(start), step, got)
					}
					continue
				}
				i := strings.LastIndex(step, ":")
				of.note("west", clientOf(step[:i]), duration(t, step[i+1:]), now)
			}
		})
	}
}

// clientOf is an address, or one for a letter.
func clientOf(who string) netip.Prefix {
	if len(who) == 1 {
		who = fmt.Sprintf("192.0.2.%d", who[0])
	}
	return clientPrefix(netip.MustParseAddr(who))
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestThrottledIsBounded: whoever has many addresses makes it forget others' waits, and no more.
func TestThrottledIsBounded(t *testing.T) {
	of, now := newThrottled(100), time.Unix(1_800_000_000, 0)
	for i := range 1000 {
		of.note("west", clientPrefix(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})), time.Second, now)
	}
	if n, ends := of.of.Len(), len(of.ends["west"]); n != 100 || ends != throttledClients {
		t.Errorf("%d clients are remembered, %d ends", n, ends)
	}
}

// TestThrottledIsToldOnce: a line in a minute.
func TestThrottledIsToldOnce(t *testing.T) {
	of, now, told := newThrottled(100), time.Unix(1_800_000_000, 0), []int(nil)
	for second := range 130 {
		if of.note("west", clientOf(string(rune('A'+second%5))), 10*time.Second, now.Add(time.Duration(second)*time.Second)) {
			told = append(told, second)
		}
	}
	if !slices.Equal(told, []int{2, 62, 122}) {
		t.Errorf("told after %v seconds", told)
	}
}

// TestThrottledReads: what a throttled replica does not give another one does, and it is asked last from then on.
func TestThrottledReads(t *testing.T) {
	blob := "GET /v2/app/blobs/" + digest
	busy := status(429, "Retry-After: 40")
	for _, test := range []struct {
		name, line     string
		west, east     http.HandlerFunc
		first, then    string
		status, wanted int // the answer; how many replicas are asked again
	}{
		{"a blob", blob, busy, status(200), "east; reason=throttled", "east; reason=throttled", 200, 1},
		{"a tag", tagged, busy, status(200), "east; reason=throttled", "east; reason=throttled", 200, 1},
		{"a list", "GET /v2/app/tags/list", busy, status(200), "east; reason=throttled", "east; reason=throttled", 200,
			1},
		{"the version check", "GET /v2/", busy, status(200), "east; reason=throttled", "east; reason=throttled", 200, 1},
		{"what nobody else has", blob, busy, nil, "west; reason=nearest", "west; reason=fallthrough", 429, 3},
		{"the others in trouble", blob, busy, breakOff, "west; reason=nearest", "west; reason=fallthrough", 429, 3},
		{"all of them", blob, busy, busy, "west; reason=nearest", "west; reason=fallthrough", 429, 3},
		{"a pusher's HEAD is told", "HEAD /v2/app/blobs/" + digest, busy, status(200), "west; reason=nearest",
			"west; reason=nearest", 429, 1},
		{"an upload is told", "PATCH " + uploads + "1", busy, accepts, "west; reason=nearest", "west; reason=nearest",
			429, 1},
		{"a write without a body is told", "POST " + uploads, busy, accepts, "west; reason=nearest",
			"west; reason=nearest", 429, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west, "east": test.east}, nil)
			got := g.do(test.line, nil)
			g.want(got, test.status, test.first)
			g.take()
			again := g.do(test.line, nil)
			g.want(again, test.status, test.then)
			if seen := g.take(); len(seen) != test.wanted {
				t.Errorf("asked again: %q", seen)
			}
			if got.status == 429 && (got.header.Get("Retry-After") != "40" || again.header.Get("Retry-After") != "40") {
				t.Errorf("what the replica said is not told: %v, %v", got.header, again.header)
			}
			if g.troubled("west") {
				t.Error("a 429 is no trouble")
			}
		})
	}
}

// TestThrottledClients: one client's limit is not the others', unless several have met one.
func TestThrottledClients(t *testing.T) {
	var log bytes.Buffer
	g := newRig(t, map[string]http.HandlerFunc{"west": status(429, "Retry-After: 40"), "east": status(200)},
		func(c *rigConfig) {
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
	ask := func(client string) []string {
		g.want(g.do("GET "+byDigest, nil, "X-Forwarded-For: "+client), 200, "east; reason=throttled")
		return g.take()
	}
	for i, clients := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"} {
		if seen := ask(clients); len(seen) != 2 {
			t.Errorf("client %d: %q were asked", i, seen)
		}
	}
	for _, other := range []string{"192.0.2.9", "192.0.2.1"} {
		if seen := ask(other); len(seen) != 1 {
			t.Errorf("another client, after three: %q were asked", seen)
		}
	}
	if n := strings.Count(log.String(), "several clients"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &log)
	}
	if n := counterOf(g, "fairlead_proxy_throttled_total"); n != 3 {
		t.Errorf("counted %v", n)
	}
}

// TestThrottledOwner: the owner of a lease is throttled, and a tag is read.
func TestThrottledOwner(t *testing.T) {
	newer, older := `{"annotations":{"is":"newer"}}`, `{"annotations":{"is":"older"}}`
	busy := status(429, "Retry-After: 40")
	for _, test := range []struct {
		name, line string
		east       string // what east gives the tag
		confirmed  []string
		status     int
		by         string
	}{
		{"another is known to have it", tagged, newer, []string{"west", "east"}, 200, "east; reason=throttled"},
		{"another has it, though that is not known", tagged, newer, []string{"west"}, 200, "east; reason=throttled"},
		{"the others have an older one", tagged, older, []string{"west"}, 429, "west; reason=leased"},
		{"nothing is known of the tag", "GET /v2/app/manifests/v2", older, []string{"west"}, 429, "west; reason=leased"},
		{"a list", "GET /v2/app/tags/list", "{}", []string{"west"}, 429, "west; reason=leased"},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := newMemoryLedger()
			g := newRig(t, map[string]http.HandlerFunc{"west": busy, "east": gives(test.east)},
				func(c *rigConfig) { c.Ledger = record })
			g.proxy.leases.accept(t.Context(), "app", "west", netip.MustParseAddr("192.0.2.1"), time.Now())
			what := ledger.Reference{Repository: "app", Name: "v1"}
			for _, at := range test.confirmed {
				_ = record.Push(what, ledger.Content{Digest: sha256Of([]byte(newer))}, at, ledger.Request{})
			}
			g.want(g.do(test.line, nil), test.status, test.by)
		})
	}
}

// TestWritesWaitOut: a push waits for as long as its replica says, if that is not long.
func TestWritesWaitOut(t *testing.T) {
	for _, test := range []struct {
		name, line, body, retryAfter string
		status, asked                int
	}{
		{"an upload's beginning", "POST " + uploads, "", "0", 202, 2},
		{"a manifest", "PUT /v2/app/manifests/v1", "{}", "0", 201, 2},
		{"a blob's HEAD", "HEAD /v2/app/blobs/" + digest, "", "0", 202, 2},
		{"longer than clients wait", "POST " + uploads, "", "11", 429, 1},
		{"it does not say", "POST " + uploads, "", "", 429, 1},
		{"what can be sent once", "PATCH " + uploads + "1", "x", "0", 429, 1},
		{"a deletion", "DELETE /v2/app/manifests/v1", "", "0", 429, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			g := newRig(t, map[string]http.HandlerFunc{"east": accepts, "west": func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 {
					w.Header().Set("Retry-After", test.retryAfter)
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				accepts(w, r)
			}}, nil)
			g.want(g.do(test.line, reader(test.body)), test.status, "west; reason=nearest")
			if int(asked.Load()) != test.asked {
				t.Errorf("asked %d times", asked.Load())
			}
		})
	}
}

// TestWritesWaitOutOnce: a second 429 is told.
func TestWritesWaitOutOnce(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": status(429, "Retry-After: 0"), "east": accepts}, nil)
	g.want(g.do("POST "+uploads, nil), 429, "west; reason=nearest")
	if seen := g.take(); len(seen) != 2 {
		t.Errorf("asked: %q", seen)
	}
}

// TestWaitEndsWithItsClient: nobody is asked for who has gone.
func TestWaitEndsWithItsClient(t *testing.T) {
	entries, asked := make(chan accesslog.Entry, 1), make(chan struct{}, 2)
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		status(429, "Retry-After: 10")(w, r)
	}}, func(c *rigConfig) { c.AccessLog = func(e accesslog.Entry) { entries <- e } })
	conn := g.send(plain("POST "+uploads, ""))
	await(t, asked, "the request")
	conn.Close()
	if got := await(t, entries, "the end"); got.Status != statusClientGone || len(asked) > 0 {
		t.Errorf("%+v, and asked %d times more", got, len(asked))
	}
}

// TestGuardIsThrottled: a replica that does not say what it has of a manifest because it is asked too much is in no
// trouble, and its pusher is told to come again.
func TestGuardIsThrottled(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		accepts(w, r)
	}}, nil)
	got := g.do("PUT /v2/app/manifests/v1", strings.NewReader(`{"config":{"digest":"`+digest+`","size":2}}`))
	g.want(got, 429, "west; reason=nearest")
	if got.header.Get("Retry-After") == "" || g.troubled("west") {
		t.Errorf("%v %q", got.header, g.trouble)
	}
}

// TestThrottledSaysNothingOfItsDoor: whether it lets anybody in is asked again.
func TestThrottledSaysNothingOfItsDoor(t *testing.T) {
	var busy atomic.Bool
	busy.Store(true)
	g := newRig(t, map[string]http.HandlerFunc{"east": status(200), "west": func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/v2/":
			w.WriteHeader(http.StatusUnauthorized)
		case busy.Load():
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}}, nil)
	blob := "GET /v2/app/blobs/" + digest
	g.want(g.do(blob, nil), 401, "west; reason=nearest")
	busy.Store(false)
	g.want(g.do(blob, nil), 200, "east; reason=fallthrough")
}

// TestWaitsOut: which answers are waited for.
func TestWaitsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &exchange{in: &http.Request{Method: http.MethodPost}, decided: &decision{}}
		x.target.kind = router.Write
		got := answer{Heard: router.Heard{Status: 429}, response: &http.Response{Header: http.Header{
			"Retry-After": {time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat)}}}}
		if wait, ok := x.waitsOut(got, time.Now()); !ok || wait != 9*time.Second {
			t.Errorf("%v %v", wait, ok)
		}
		time.Sleep(10 * time.Second)
		if wait, ok := x.waitsOut(got, time.Now()); !ok || wait != 0 {
			t.Errorf("a date that has gone by: %v %v", wait, ok)
		}
	})
}

// counterOf is a metric, over all its labels.
func counterOf(g *rig, name string) (n float64) {
	g.t.Helper()
	families, err := g.proxy.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name {
				n += metric.GetCounter().GetValue()
			}
		}
	}
	return n
}

func gives(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func reader(body string) io.Reader {
	if body == "" {
		return nil
	}
	return strings.NewReader(body)
}
