package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What is pulled: large enough for pulls to overlap, small enough for a machine that has other things to do.
const (
	busyLayers = 6
	busyLayer  = 200 << 10
	busyPulls  = 50
	atOnce     = 3 // requests of one client, as docker has it
)

// TestBusy pulls an image that one registry has, by many clients at once, on a machine that is kept busy: directly,
// through the gateway beside that registry, and through one beside another. What the registry answers the gateways do.
func TestBusy(t *testing.T) {
	long(t)
	for _, c := range []struct {
		kind      registryKind
		clustered bool
	}{{distributionKind, false}, {distributionKind, true}, {memoryKind, false}, {debianKind, true}} {
		name := c.kind.name
		if c.clustered {
			name += " in a cluster"
		}
		t.Run(name, func(t *testing.T) {
			registries := startRegistries(t, c.kind, splitReplicas)
			gateways := splitGateways(t, registries)
			if c.clustered {
				gateways = startCluster(t, registries, nil)[:2]
			}
			b := busy{t: t, registries: registries, gateways: gateways}
			b.push()
			loadCores(t)
			direct := b.pullAll("directly", registries[0].url())
			for i, g := range gateways {
				where := []string{"through the gateway beside it", "through one that is away"}[i]
				if failed := b.pullAll(where, g.url()); failed > direct {
					t.Errorf("%s %d of %d failed, directly %d", where, failed, busyPulls, direct)
				}
			}
			b.staysUp()
		})
	}
}

// loadCores keeps each core busy until the test ends, and for some minutes at most whatever happens to the test.
func loadCores(t testing.TB) {
	const loop = `end=$(($(date +%s) + 300))
		while [ $(date +%s) -lt $end ]; do
			i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done
		done`
	for n := range runtime.NumCPU() {
		start(t, fmt.Sprint("busy-", n), nil, "sh", "-c", loop)
	}
}

type busy struct {
	t          *testing.T
	registries []*registry
	gateways   []*gateway
	digest     string
}

// push is through the gateway that is beside the registry of the first region.
func (b *busy) push() {
	b.t.Helper()
	client := newRegional(b.t, 1, b.gateways[0])
	of, _, err := client.pushLayers(b.t, "app", imageTag, "amd64", busyLayers, busyLayer)
	must(b.t, err)
	b.digest = of.Digest
	if at := wholeOn(b.t, b.registries, "app", imageTag); at != b.registries[0].name {
		b.t.Fatalf("it was pushed to %q", at)
	}
}

// pullAll is how many of the pulls failed. No client tries anything twice.
func (b *busy) pullAll(where, base string) int {
	b.t.Helper()
	errs := make([]error, busyPulls)
	var all sync.WaitGroup
	began := time.Now()
	for i := range errs {
		all.Go(func() { errs[i] = b.pull(base) })
	}
	all.Wait()
	took := time.Since(began)
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	for i, err := range failed {
		if i < 5 {
			b.t.Logf("%s: %v", where, err)
		}
	}
	b.t.Logf("figure: %s %d of %d pulls failed, in %v", where, len(failed), busyPulls, took.Round(10*time.Millisecond))
	return len(failed)
}

// pull asks as clients do: whether there is a registry, then for the manifest and all its blobs.
func (b *busy) pull(base string) error {
	dial := from("127.0.1.7")
	dial.Timeout = commandBound // it is this client, too, that the machine has no time for
	transport := &http.Transport{DialContext: dial.DialContext, DisableCompression: true, MaxConnsPerHost: atOnce}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: commandBound}
	if _, err := fetch(client, base+"/v2/", ""); err != nil {
		return err
	}
	manifest, err := fetch(client, base+"/v2/app/manifests/"+imageTag, b.digest)
	if err != nil {
		return err
	}
	var doc document
	if err := json.Unmarshal(manifest, &doc); err != nil {
		return err
	}
	blobs := doc.blobs()
	errs := make([]error, len(blobs))
	var all sync.WaitGroup
	for i, blob := range blobs {
		all.Go(func() { _, errs[i] = fetch(client, base+"/v2/app/blobs/"+blob.Digest, blob.Digest) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// fetch gets all of something, which must have the digest, if there is one.
func fetch(client *http.Client, url, digest string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header = manifestTypes.Clone()
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("GET %s: %w", url, err)
	case response.StatusCode != http.StatusOK:
		by := response.Header.Get("Fairlead-Replica")
		return nil, fmt.Errorf("GET %s: status %d [%s]: %s", url, response.StatusCode, by, body)
	case digest != "" && digestOf(body) != digest:
		return nil, fmt.Errorf("GET %s: other content", url)
	}
	return body, nil
}

// staysUp: no gateway has ever seen the registry down that all is pulled from. Nothing speaks for those that nobody
// asks.
func (b *busy) staysUp() {
	b.t.Helper()
	for _, g := range b.gateways {
		for line := range strings.Lines(g.output()) {
			if strings.Contains(line, "health changed") && strings.Contains(line, "replica="+b.registries[0].name) {
				b.t.Errorf("%s: %s", g.name, line)
			}
		}
		late, timeouts := g.metricOrZero(b.t, probesMetric, `result="late"`),
			g.metricOrZero(b.t, probesMetric, `result="timeout"`)
		b.t.Logf("figure: %s: %v probes were late while requests were answered, %v otherwise; %v requests met trouble",
			g.name, late, timeouts, g.metricOrZero(b.t, "fairlead_proxy_trouble_total"))
	}
}

const probesMetric = "fairlead_health_probes_total"

// TestLateProbes: a registry whose /v2/ hangs is up while it answers requests, and down once it answers none.
func TestLateProbes(t *testing.T) {
	t.Parallel()
	var hangs atomic.Bool
	ping := func(registry http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" && hangs.Load() {
				<-r.Context().Done()
				return
			}
			registry.ServeHTTP(w, r)
		})
	}
	replicas := slices.Clone(splitReplicas[:2])
	for i := range replicas {
		replicas[i].address = fmt.Sprintf("127.0.0.%d", 11+i)
		replicas[i].upstream = "http://" + startQuirky(t, "127.0.0.1", ping)
		ping = func(registry http.Handler) http.Handler { return registry } // of all others
	}
	g := startGateway(t, "gateway", "127.0.0.1", file{
		here: replicas[0].name, health: "{interval: 1s, timeout: 1s, fronts: false}",
		networks: splitNetworks, replicas: replicas,
	})
	client := newRegional(t, 1, g)
	of, err := client.push(t, "app", imageTag, nil)
	must(t, err)
	hangs.Store(true)
	late := func() float64 { return g.metricOrZero(t, probesMetric, `result="late"`) }
	waitFor(t, startBound, "probes to be late", func() error {
		if _, err := fetch(client.http, g.url()+"/v2/app/manifests/"+of.Digest, of.Digest); err != nil {
			t.Fatalf("after %v late probes: %v", late(), err)
		}
		if n := late(); n < float64(few(4, 8)) {
			return fmt.Errorf("%v", n)
		}
		return nil
	})
	if down := g.down(t); len(down) > 0 {
		t.Errorf("%v down, after %v late probes", down, late())
	}
	want := func(what string, names ...string) {
		waitFor(t, moveBound, what, func() error {
			if got := g.down(t); !slices.Equal(got, names) {
				return fmt.Errorf("%v down", got)
			}
			return nil
		})
	}
	want("it to be down once nothing is asked of it", replicas[0].name)
	hangs.Store(false)
	want("it to be up again")
}
