package test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// The client stands in Quebec: Canada Central is nearest, East US next. Nobody's home is near. Its prefix is among the
// first that a replica which is back gets again: at once, and not after a minute.
var (
	failoverReplicas = []replica{
		{name: "canadacentral", place: "azure/canadacentral"},
		{name: "eastus", place: "azure/eastus"},
		{name: "westeurope", place: "azure/westeurope", home: true},
	}
	failoverNetworks = []network{{"127.0.2.0/24", "azure/canadaeast"}}
)

const (
	failoverClient = "127.0.2.7"
	failoverSubnet = "127.0.2.0/24"
	// hangBound is the issue's: an answer, or 502 or 504, within 5 s. What a busy machine adds is not the gateway's.
	hangBound = 5 * time.Second
	hangSlack = 1500 * time.Millisecond
	// DNS moves after 5 failed probes a second apart, and back within a minute after 10 good ones.
	moveBound  = 2 * time.Minute
	enoughGets = 60
	enoughRuns = 2 // of crane pull
)

// TestFailover takes away what is nearest to a client that goes on pulling all the time.
func TestFailover(t *testing.T) {
	t.Parallel()
	kill := func(s *site) { s.registry.kill() }
	restart := func(_ *testing.T, s *site) { s.registry.restart() }
	for i, c := range []struct {
		name        string
		fault       func(s *site)
		restore     func(t *testing.T, s *site)
		gatewayDies bool
		leased      bool
	}{
		{"upstream killed", kill, restart, false, false},
		{"upstream killed that owns the lease", kill, restart, false, true},
		{"upstream stopped", func(s *site) { s.registry.pause() }, func(_ *testing.T, s *site) { s.registry.resume() },
			false, false},
		{"gateway killed", func(s *site) { s.gateway.kill() }, func(t *testing.T, s *site) { s.restartGateway(t) },
			true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if i > 0 {
				long(t)
			}
			t.Parallel()
			sites := startSites(t, i)
			f := newFailover(t, sites, c.gatewayDies)
			f.wanted = requestsFor(f.image)
			if c.leased {
				f.wanted = slices.DeleteFunc(f.wanted, wanted.belongsToPush)
				pushLeased(t, sites[0], f.image)
			}
			for _, s := range sites {
				must(t, cranePush(t, f.image, s.registry.address+"/app:"+imageTag))
			}
			f.run(t, func() { c.fault(sites[0]) }, func() { c.restore(t, sites[0]) })
		})
	}
}

// pushLeased pushes through a region's gateway from a neighbour of the client that pulls, so that the lease is there
// and the client itself is bound to nothing.
func pushLeased(t *testing.T, s *site, img image) {
	t.Helper()
	via := connectionFront(t, "127.0.1.2", dialAlways("127.0.2.8", s.gateway.listen))
	must(t, cranePush(t, img, via.address+"/app:"+imageTag))
	if got := s.gateway.leases(t)["app"]; got != failoverReplicas[0].name {
		t.Fatalf("the lease is %q's", got)
	}
}

// site is a region: a registry, and a gateway beside it whose address DNS hands out.
type site struct {
	registry *registry
	gateway  *gateway
	ip       string
}

// startSites starts the three regions. All gateways listen on the same port, as fronts do.
func startSites(t testing.TB, block int) []*site {
	t.Helper()
	return startSitesOf(t, built(t, fairleadProgram), block, nil)
}

func startSitesOf(t testing.TB, program string, block int, change func(i int, f *file)) []*site {
	t.Helper()
	registries := startRegistries(t, distributionKind, failoverReplicas)
	replicas := withUpstreams(failoverReplicas, registries)
	sites := make([]*site, len(replicas))
	var ips []string
	for i := range sites {
		sites[i] = &site{registry: registries[i], ip: fmt.Sprintf("127.1.%d.%d", block, i+1)}
		replicas[i].address = sites[i].ip
		ips = append(ips, sites[i].ip)
	}
	port := freePort(t, ips...)
	for i, s := range sites {
		f := file{
			here: replicas[i].name, listen: net.JoinHostPort(s.ip, port), health: "{interval: 1s, timeout: 1s}",
			networks: failoverNetworks, replicas: replicas,
		}
		if change != nil {
			change(i, &f)
		}
		s.gateway = startProgram(t, program, "gateway-"+replicas[i].name, s.ip, f)
	}
	return sites
}

func (s *site) restartGateway(t testing.TB) {
	s.gateway = startGateway(t, s.gateway.name+"-again", s.ip, s.gateway.file)
}

// failover is one run: a client that pulls, watchers of DNS, and what both saw.
type failover struct {
	// Static while it runs.
	sites       []*site
	servers     []string // DNS, IP:PORT
	port        string   // of all fronts
	gatewayDies bool
	image       image
	wanted      []wanted

	// Guarded by mu.
	mu    sync.Mutex
	gets  []attempt
	pulls []attempt
}

// attempt is one pull of the client's.
type attempt struct {
	what  string
	began time.Time
	many  bool // a client's whole run of many requests, which it repeats by itself
	outcome
}

func newFailover(t testing.TB, sites []*site, gatewayDies bool) *failover {
	f := &failover{sites: sites, gatewayDies: gatewayDies, image: newImage(t, "amd64")}
	for _, s := range sites {
		f.servers = append(f.servers, s.gateway.dns)
	}
	_, port, err := net.SplitHostPort(sites[0].gateway.listen)
	must(t, err)
	f.port = port
	return f
}

func (f *failover) run(t *testing.T, fault, restore func()) {
	nearest, next := f.sites[0].ip, f.sites[1].ip
	f.waitDNS(t, f.sites, nearest)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	watchers := f.watch(ctx, &all)
	f.startPulling(t, ctx, &all)
	f.waitPulls(t, time.Now())

	faultAt := time.Now()
	fault()
	f.waitDNS(t, f.survivors(), next)
	movedAfter := time.Since(faultAt)
	f.waitPulls(t, faultAt.Add(hangBound))

	restoredAt := time.Now()
	restore()
	f.waitDNS(t, f.sites, nearest)
	backAfter := time.Since(restoredAt)
	f.waitPulls(t, time.Now())

	stop()
	all.Wait()
	t.Logf("figure: DNS moved after %.1f s, and back after %.1f s", movedAfter.Seconds(), backAfter.Seconds())
	f.judge(t, faultAt)
	for i, w := range watchers {
		want := []string{nearest, next, nearest}
		if f.gatewayDies && i == 0 {
			want = []string{nearest} // nobody can ask it while it is dead
		}
		if !slices.Equal(w.answers, want) {
			t.Errorf("%s answered %v in turn, want %v", f.sites[i].gateway.name, w.answers, want)
		}
	}
}

func (f *failover) survivors() []*site {
	if f.gatewayDies {
		return f.sites[1:]
	}
	return f.sites
}

func (f *failover) waitDNS(t *testing.T, sites []*site, want string) {
	t.Helper()
	waitFor(t, moveBound, "DNS to answer "+want, func() error {
		for _, s := range sites {
			if got, err := addressOf(s.gateway.dns, failoverSubnet); err != nil || got != want {
				return fmt.Errorf("%s answers %s, %v", s.gateway.name, got, err)
			}
		}
		return nil
	})
}

// waitPulls waits until enough was tried that began after a time. Without it nothing would be shown.
func (f *failover) waitPulls(t *testing.T, after time.Time) {
	t.Helper()
	waitFor(t, startBound, "pulls", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		gets, pulls := countAfter(f.gets, after), countAfter(f.pulls, after)
		if gets < enoughGets || pulls < enoughRuns {
			return fmt.Errorf("%d requests, %d times crane pull", gets, pulls)
		}
		return nil
	})
}

func countAfter(attempts []attempt, after time.Time) int {
	n := 0
	for _, a := range attempts {
		if a.began.After(after) {
			n++
		}
	}
	return n
}

// watcher is what one server answered, without repetitions.
type watcher struct{ answers []string }

func (f *failover) watch(ctx context.Context, all *sync.WaitGroup) []*watcher {
	watchers := make([]*watcher, len(f.sites))
	for i, s := range f.sites {
		w, server := &watcher{}, s.gateway.dns
		watchers[i] = w
		mayDie := f.gatewayDies && i == 0
		all.Go(func() {
			every(ctx, 50*time.Millisecond, func() {
				answer, err := addressOf(server, failoverSubnet)
				if err != nil {
					answer = err.Error()
				}
				if (err == nil || !mayDie) && (len(w.answers) == 0 || w.answers[len(w.answers)-1] != answer) {
					w.answers = append(w.answers, answer)
				}
			})
		})
	}
	return watchers
}

// every paces what a client does: at most so often, until the context ends.
func every(ctx context.Context, pace time.Duration, do func()) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (f *failover) startPulling(t *testing.T, ctx context.Context, all *sync.WaitGroup) {
	for _, r := range f.wanted {
		c := newPuller(f.dial)
		all.Go(func() {
			every(ctx, time.Duration(few(150, 50))*time.Millisecond, func() {
				f.note(&f.gets, attempt{r.String(), time.Now(), false, c.try(r)})
			})
			c.close()
		})
	}
	via := connectionFront(t, "127.0.1.1", f.dial)
	archive := filepath.Join(t.TempDir(), "pulled.tar")
	all.Go(func() {
		every(ctx, time.Duration(few(400, 100))*time.Millisecond, func() {
			a := attempt{what: "crane pull", began: time.Now(), many: true}
			_, a.err = crane(t, "pull", via.address+"/app:"+imageTag, archive)
			a.took = time.Since(a.began)
			if ctx.Err() != nil {
				return // cut off by the end of the test
			}
			f.note(&f.pulls, a)
		})
	})
}

func (f *failover) note(list *[]attempt, a attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, a)
}

// dial connects as a client does: it looks the name up, and takes another address when nobody answers at that one.
func (f *failover) dial(ctx context.Context) (net.Conn, error) {
	first, err := resolve(f.servers, failoverSubnet)
	if err != nil {
		return nil, err
	}
	addresses := []string{first}
	for _, s := range f.sites {
		addresses = append(addresses, s.ip)
	}
	for _, ip := range addresses {
		var conn net.Conn
		if conn, err = from(failoverClient).DialContext(ctx, "tcp", net.JoinHostPort(ip, f.port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// judge: nothing may hang, ever. Of each client the one request that the fault meets may be told 502 or 504, or be cut
// off with what was taken away: that is the first bounded wait. All others must be answered whole.
func (f *failover) judge(t *testing.T, faultAt time.Time) {
	met, bad, wrong := map[string]bool{}, 0, 0
	slowest := time.Duration(0)
	for _, a := range append(f.gets, f.pulls...) {
		first := !met[a.what] && a.began.Add(a.took).After(faultAt)
		met[a.what] = met[a.what] || first
		slowest = max(slowest, a.firstByte)
		switch {
		case a.err == nil:
			continue
		case first && !a.hung() && (a.many || a.allowed(f.gatewayDies)):
			bad++
			t.Logf("in the first wait: %s, begun %v after the fault: %v", a.what, a.began.Sub(faultAt), a.err)
			continue
		}
		if wrong++; wrong <= 10 {
			t.Errorf("%s, begun %v after the fault and ended %v later: %v", a.what, a.began.Sub(faultAt), a.took, a.err)
		}
	}
	t.Logf("figure: %d requests and %d times crane pull by %d clients: %d failed when the fault met them, %d otherwise; slowest first byte %v",
		len(f.gets), len(f.pulls), len(met), bad, wrong, slowest.Round(time.Millisecond))
}
