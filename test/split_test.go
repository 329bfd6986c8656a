package test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Three replicas, and three clients of which each is near another one. No client stands where a replica does.
var (
	splitReplicas = []replica{
		{name: "westus", place: "azure/westus", home: true},
		{name: "eastus", place: "azure/eastus"},
		{name: "westeurope", place: "azure/westeurope"},
	}
	splitNetworks = []network{
		{"127.0.1.0/24", "azure/westus3"},
		{"127.0.2.0/24", "azure/canadaeast"},
		{"127.0.3.0/24", "azure/northeurope"},
	}
)

// TestSplit pushes through two gateways that share nothing, while a front sends every connection, or even every
// request, to the other one in turn. Every image must end whole on one replica.
func TestSplit(t *testing.T) {
	t.Parallel()
	sets := prepareClients(t, pushesEach(t))
	for i, c := range []struct {
		kind registryKind
		mode frontMode
	}{
		{distributionKind, everyRequest},
		{distributionKind, everyConnection},
		{memoryKind, everyConnection},
		{memoryKind, everyRequest},
		{debianKind, everyRequest},
	} {
		t.Run(c.kind.name+"/"+c.mode.name, func(t *testing.T) {
			if i > 0 {
				long(t)
			}
			registries := startRegistries(t, c.kind, splitReplicas)
			gateways := splitGateways(t, registries)
			fronts := splitFronts(t, c.mode, gatewayAddresses(gateways))
			for _, set := range sets {
				t.Run(set.client.name, func(t *testing.T) { set.need(t); splitRun(t, set, fronts, registries) })
			}
			for _, g := range gateways {
				if g.metric(t, "fairlead_proxy_requests_total", `kind="upload"`) == 0 {
					t.Errorf("%s had no part in any upload: nothing was split", g.name)
				}
			}
		})
	}
}

// TestSplitWithoutGateways is the same with the front directly before the registries. If that did not go wrong,
// TestSplit would prove nothing.
func TestSplitWithoutGateways(t *testing.T) {
	long(t)
	t.Parallel()
	sets := prepareClients(t, 5)
	for _, kind := range []registryKind{distributionKind, memoryKind} {
		for _, mode := range []frontMode{everyConnection, everyRequest} {
			t.Run(kind.name+"/"+mode.name, func(t *testing.T) {
				t.Parallel()
				controlRun(t, sets, kind, mode)
			})
		}
	}
}

func controlRun(t *testing.T, sets []*clientSet, kind registryKind, mode frontMode) {
	registries := startRegistries(t, kind, splitReplicas)
	var addresses []string
	for _, r := range registries {
		addresses = append(addresses, r.address)
	}
	fronts := splitFronts(t, mode, addresses)
	var figures []string
	pushed, bad := 0, 0
	for _, set := range sets {
		if !set.client.available() {
			continue
		}
		broken := 0
		for _, p := range set.pushAll(t, fronts) {
			if h, err := whereIs(registries, p.repository, imageTag); p.err != nil || err != nil ||
				len(h.owners) == 0 || len(h.missing) > 0 {
				broken++
			}
		}
		figures = append(figures, fmt.Sprintf("%s %d of %d", set.client.name, broken, len(set.images)))
		pushed, bad = pushed+len(set.images), bad+broken
	}
	t.Logf("figure: without gateways %d of %d pushes failed or left a damaged image (%s)", bad, pushed,
		strings.Join(figures, ", "))
	if bad*4 < pushed*3 {
		t.Errorf("only %d of %d pushes went wrong without gateways: TestSplit proves nothing", bad, pushed)
	}
}

// pushesEach is one from each region at least.
func pushesEach(t testing.TB) int { return number(t, "FAIRLEAD_SPLIT_PUSHES", few(3, 6)) }

// clientSet is a client and the images that it is to push.
type clientSet struct {
	client client
	images []image
	push   pusher // nil where the client is not installed
}

func prepareClients(t *testing.T, pushes int) []*clientSet {
	var sets []*clientSet
	for _, c := range clients() {
		set := &clientSet{client: c}
		if c.available() {
			set.images = newImages(t, pushes)
			set.push = c.ready(t, set.images)
		}
		sets = append(sets, set)
	}
	return sets
}

func (s *clientSet) need(t *testing.T) {
	if s.client.debian != "" {
		installed(t, s.client.debian)
	}
}

// push is what came of one.
type push struct {
	repository, digest string
	err                error
}

// pushAll pushes every image to a repository of its own, so that nothing of it is there before, from the clients'
// addresses in turn and one at a time from each.
func (s *clientSet) pushAll(t *testing.T, fronts []front) []push {
	pushes := make([]push, len(s.images))
	var all sync.WaitGroup
	for f, via := range fronts {
		all.Go(func() {
			for i := f; i < len(s.images); i += len(fronts) {
				p := &pushes[i]
				p.repository = fmt.Sprintf("%s/app-%d", s.client.name, i)
				p.digest, p.err = s.push(t, s.images[i], via.address+"/"+p.repository+":"+imageTag)
			}
		})
	}
	all.Wait()
	return pushes
}

func splitRun(t *testing.T, set *clientSet, fronts []front, registries []*registry) {
	began := time.Now()
	pushes := set.pushAll(t, fronts)
	failed, damaged, owners := 0, 0, map[string]int{}
	for i, p := range pushes {
		if p.err != nil {
			failed++
			t.Errorf("push failed: %v", p.err)
			continue
		}
		h, err := whereIs(registries, p.repository, imageTag)
		must(t, err)
		if len(h.owners) != 1 || len(h.missing) > 0 {
			damaged++
			t.Errorf("%s: manifest on %v, missing there: %v", p.repository, h.owners, h.missing)
			continue
		}
		owners[h.owners[0]]++
		// Not from where it was pushed, so that the gateways have to find it.
		if digest, err := pulled(fronts[(i+1)%len(fronts)].url(), p.repository, imageTag); err != nil ||
			digest != p.digest {
			t.Errorf("%s: pushed %s, pulled %s: %v", p.repository, p.digest, digest, err)
		}
	}
	t.Logf("figure: %d pushes: %d failed, %d with a blob missing on the owner; owners %v; %v", len(pushes), failed,
		damaged, owners, time.Since(began).Round(time.Millisecond))
	if len(owners) < 2 {
		t.Errorf("owners %v: fewer than two show nothing", owners)
	}
	validate(t, fronts[0], pushes[len(pushes)-1])
}

// validate has crane pull an image whole and check every digest in it.
func validate(t *testing.T, via front, p push) {
	ref := via.address + "/" + p.repository + ":" + imageTag
	if digest, err := crane(t, "digest", ref); err != nil || digest != p.digest {
		t.Errorf("crane digest %s: %s, pushed %s: %v", ref, digest, p.digest, err)
	}
	if _, err := crane(t, "validate", "--remote", ref); err != nil {
		t.Error(err)
	}
}

func startRegistries(t testing.TB, kind registryKind, replicas []replica) []*registry {
	var registries []*registry
	for _, r := range replicas {
		registries = append(registries, kind.start(t, r.name, freeAddress(t, "127.0.0.1")))
	}
	return registries
}

// splitGateways stand beside different replicas. Probes are those of a default file: a busy machine is no outage.
func splitGateways(t testing.TB, registries []*registry) []*gateway {
	replicas := withUpstreams(splitReplicas, registries)
	var gateways []*gateway
	for _, here := range []string{"westus", "westeurope"} {
		gateways = append(gateways, startGateway(t, "gateway-"+here, "127.0.0.1", file{
			here: here, health: "{fronts: false}", networks: splitNetworks, replicas: replicas,
		}))
	}
	return gateways
}

// withUpstreams gives each replica its registry, and an address that nobody asks for.
func withUpstreams(replicas []replica, registries []*registry) []replica {
	replicas = slices.Clone(replicas)
	for i := range replicas {
		replicas[i].upstream = registries[i].url()
		replicas[i].address = fmt.Sprintf("127.0.0.%d", 11+i)
	}
	return replicas
}

func gatewayAddresses(gateways []*gateway) []string {
	var addresses []string
	for _, g := range gateways {
		addresses = append(addresses, g.listen)
	}
	return addresses
}

// splitFronts is one front for each client, 127.0.N.1 for the client 127.0.N.7.
func splitFronts(t testing.TB, mode frontMode, backends []string) []front {
	turns := &inTurn{backends: backends}
	var fronts []front
	for n := 1; n <= len(splitNetworks); n++ {
		fronts = append(fronts, mode.new(t, fmt.Sprintf("127.0.%d.1", n), fmt.Sprintf("127.0.%d.7", n), turns))
	}
	return fronts
}
