package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What is promised of sick replicas. The thresholds are those of the gateway: five failed probes.
const (
	slowBound   = 30 * time.Second // a replica that answers in 15 s is passed over
	backBound   = time.Minute      // and all its clients are back once it recovers
	killedBound = 5*time.Second + time.Second
	mostChanges = 2 // of DNS in a minute, after the first fall
)

// Clients of which one is the first that a replica gets back, the other the last.
var (
	firstBack   = "127.0.2.0/24"
	lastBack    = "127.0.1.0/24"
	sickNetwork = []network{{"127.0.0.0/16", "azure/canadaeast"}}
)

// TestSickReplicas: one that answers in 15 s, one whose gateway is killed, and some that go and come. With
// FAIRLEAD_SICK_MINUTES they go and come for longer.
func TestSickReplicas(t *testing.T) {
	long(t)
	t.Parallel()
	t.Run("answers in 15 s", func(t *testing.T) { t.Parallel(); answersSlowly(t) })
	t.Run("killed", func(t *testing.T) { t.Parallel(); gatewayIsKilled(t) })
	for _, rhythm := range []struct{ up, down time.Duration }{
		{5 * time.Second, 5 * time.Second}, {12 * time.Second, 6 * time.Second},
	} {
		t.Run(fmt.Sprintf("up for %v, down for %v", rhythm.up, rhythm.down), func(t *testing.T) {
			t.Parallel()
			flaps(t, rhythm.up, rhythm.down)
		})
	}
}

func answersSlowly(t *testing.T) {
	c := newClinic(t, "{fronts: false}") // as by default: each 5 s, for 2 s
	img := newImage(t, "amd64")
	for _, r := range c.registries {
		must(t, cranePush(t, img, r.address+"/app:"+imageTag))
	}
	c.waitFor(t, startBound, c.nearest, firstBack, lastBack)

	ctx, stop := context.WithCancel(t.Context())
	var pulling sync.WaitGroup
	var pulls, failed atomic.Int32
	for _, r := range requestsFor(img) {
		p := newPuller(dialAlways(failoverClient, c.gateway.listen))
		pulling.Go(func() {
			every(ctx, 300*time.Millisecond, func() {
				pulls.Add(1)
				if got := p.try(r); got.err != nil {
					failed.Add(1)
					t.Errorf("%s: %v after %v", r, got.err, got.took)
				}
			})
			p.close()
		})
	}
	defer pulling.Wait()
	defer stop()

	began := time.Now()
	c.sick.delay.Store(int64(15 * time.Second))
	c.waitFor(t, slowBound, c.next, firstBack, lastBack)
	passedOver := time.Since(began)
	began = time.Now()
	c.sick.delay.Store(0)
	c.waitFor(t, backBound, c.nearest, firstBack)
	first := time.Since(began)
	c.waitFor(t, backBound-first, c.nearest, lastBack)
	last := time.Since(began)
	t.Logf("figure: passed over after %.1f s; the first client is back after %.1f s, the last after %.1f s; "+
		"%d of %d pulls failed",
		passedOver.Seconds(), first.Seconds(), last.Seconds(), failed.Load(), pulls.Load())
}

// gatewayIsKilled: how long it takes is the machine's too; how many probes is the gateway's alone.
func gatewayIsKilled(t *testing.T) {
	sites := startSitesOf(t, built(t, fairleadProgram), 43, func(_ int, f *file) { f.networks = sickNetwork })
	nearest, next, asked := sites[0].ip, sites[1].ip, sites[1].gateway
	named := func(want string) func() error {
		return func() error {
			if got, err := addressOf(asked.dns, firstBack); err != nil || got != want {
				return fmt.Errorf("it answers %s, %v", got, err)
			}
			return nil
		}
	}
	waitFor(t, moveBound, "all to be up", named(nearest))
	refused := func() float64 {
		return asked.metricOrZero(t, "fairlead_health_probes_total", `replica="`+failoverReplicas[0].name+`"`,
			`target="front"`, `result="refused"`)
	}
	before := refused()
	began := time.Now()
	sites[0].gateway.kill()
	waitFor(t, killedBound, "the killed one to leave DNS", named(next))
	t.Logf("figure: out of DNS %.2f s after SIGKILL, after %v refused probes", time.Since(began).Seconds(),
		refused()-before)
}

// flaps: no client is sent to or from a replica that goes and comes more than twice a minute.
func flaps(t *testing.T, up, down time.Duration) {
	c := newClinic(t, "{interval: 1s, timeout: 1s, fronts: false}")
	c.waitFor(t, startBound, c.nearest, firstBack)
	ctx, stop := context.WithTimeout(t.Context(), time.Duration(number(t, "FAIRLEAD_SICK_MINUTES", 1))*time.Minute+down)
	defer stop()
	var turning sync.WaitGroup
	turning.Go(func() {
		for ctx.Err() == nil {
			c.sick.dead.Store(true)
			pause(ctx, down)
			c.sick.dead.Store(false)
			pause(ctx, up)
		}
	})
	last, changes := c.nearest, []time.Time{}
	every(ctx, 100*time.Millisecond, func() {
		got, err := addressOf(c.gateway.dns, firstBack)
		if err != nil {
			t.Error(err)
		}
		if got != last {
			last, changes = got, append(changes, time.Now())
		}
	})
	turning.Wait()
	for i := 1; i+mostChanges < len(changes); i++ {
		if took := changes[i+mostChanges].Sub(changes[i]); took < time.Minute {
			t.Errorf("%d changes of DNS within %v, at %v", mostChanges+1, took, changes)
		}
	}
	t.Logf("figure: DNS changed %d times", len(changes))
}

// clinic is a gateway with two replicas, of which the nearest falls sick.
type clinic struct {
	gateway       *gateway
	registries    []*registry
	nearest, next string // what DNS answers
	sick          *ward
}

func newClinic(t *testing.T, health string) clinic {
	registries := startRegistries(t, distributionKind, failoverReplicas[:2])
	replicas := slices.Clone(withUpstreams(failoverReplicas[:2], registries))
	c := clinic{registries: registries, nearest: "192.0.2.1", next: "192.0.2.2", sick: newWard(t, registries[0])}
	replicas[0].address, replicas[0].upstream = c.nearest, "http://"+handlerFront(t, "127.0.0.1", c.sick).address
	replicas[1].address, replicas[1].home = c.next, true
	c.gateway = startGateway(t, "gateway", "127.0.0.1", file{health: health, networks: sickNetwork, replicas: replicas})
	return c
}

// waitFor waits until DNS answers so for the clients of all these subnets.
func (c clinic) waitFor(t *testing.T, bound time.Duration, want string, subnets ...string) {
	t.Helper()
	waitFor(t, bound, "DNS to answer "+want, func() error {
		var all []error
		for _, subnet := range subnets {
			if got, err := addressOf(c.gateway.dns, subnet); err != nil || got != want {
				all = append(all, fmt.Errorf("for %s it is %s, %v", subnet, got, err))
			}
		}
		return errors.Join(all...)
	})
}

// ward stands before a registry and has it answer late, or not at all.
type ward struct {
	registry *httputil.ReverseProxy
	delay    atomic.Int64 // a Duration
	dead     atomic.Bool
}

func newWard(t *testing.T, r *registry) *ward {
	t.Helper()
	to, err := url.Parse(r.url())
	must(t, err)
	return &ward{registry: &httputil.ReverseProxy{
		ErrorLog: silent,
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
	}}
}

func (w *ward) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if w.dead.Load() {
		panic(http.ErrAbortHandler)
	}
	pause(r.Context(), time.Duration(w.delay.Load()))
	w.registry.ServeHTTP(rw, r)
}
