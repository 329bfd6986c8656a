package test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestCluster: three gateways in three regions that know each other.
func TestCluster(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, memoryKind, splitReplicas)
	gateways := startCluster(t, registries, nil)
	t.Run("members", func(t *testing.T) { clusterMembers(t, gateways) })
	t.Run("explain", func(t *testing.T) { clusterExplains(t, gateways) })
	t.Run("multi-arch", func(t *testing.T) {
		owners := map[string]int{}
		rounds := few(1, 5) // fifty were run when this was written
		for round := range rounds {
			owners[multiarchRound(t, gateways, registries, round)]++
		}
		t.Logf("figure: %d images from two regions through two gateways, indexes from a third: all whole, %v", rounds,
			owners)
	})
	t.Run("rolling restart", func(t *testing.T) { clusterRestarts(t, gateways, registries) })
	t.Run("arbiter killed", func(t *testing.T) { clusterLosesOne(t, gateways, registries) })
}

// startCluster starts a gateway beside each replica, at the address of its registry. change, if not nil, has the last
// word on each file.
func startCluster(t testing.TB, registries []*registry, change func(i int, f *file)) []*gateway {
	t.Helper()
	return startClusterOf(t, built(t, fairleadProgram), registries, change)
}

func startClusterOf(t testing.TB, program string, registries []*registry, change func(i int, f *file)) []*gateway {
	t.Helper()
	replicas := withUpstreams(splitReplicas, registries)
	var listens, peers []string
	for _, r := range registries {
		listens = append(listens, freeAddress(t, r.ip()))
		peers = append(peers, fmt.Sprintf("%q", listens[len(listens)-1]))
	}
	key := ""
	if placeOf(registries[0].address) != (place{}) {
		key = ", key: " + newKey(t)
	}
	gateways := make([]*gateway, len(replicas))
	for i, r := range replicas {
		f := file{
			here: r.name, health: "{fronts: false}", networks: splitNetworks, replicas: replicas,
			cluster: fmt.Sprintf("{listen: %q, peers: [%s], name: gw-%s%s}", listens[i], strings.Join(peers, ", "),
				r.name, key),
		}
		if change != nil {
			change(i, &f)
		}
		gateways[i] = startProgram(t, program, "gateway-"+r.name, registries[i].ip(), f)
	}
	for _, g := range gateways {
		waitFor(t, startBound, g.name+" to know all", func() error {
			if n := len(g.members(t)); n != len(gateways) {
				return fmt.Errorf("%d members", n)
			}
			return nil
		})
	}
	return gateways
}

// newKey is a file with a new key.
func newKey(t testing.TB) string {
	var key [32]byte
	_, _ = rand.Read(key[:])
	name := filepath.Join(t.TempDir(), "key")
	writeFile(t, name, base64.StdEncoding.EncodeToString(key[:])+"\n")
	return name
}

func (g *gateway) members(t testing.TB) []string {
	t.Helper()
	var c struct{ Members []struct{ Name string } }
	g.adminJSON(t, "/cluster", &c)
	var names []string
	for _, m := range c.Members {
		names = append(names, m.Name)
	}
	return names
}

func clusterMembers(t *testing.T, gateways []*gateway) {
	for _, g := range gateways {
		out, code := fairlead(t, "cluster", "members", "--admin", "http://"+g.admin)
		for _, other := range splitReplicas {
			if code != 0 || !strings.Contains(out, "gw-"+other.name) {
				t.Errorf("%s: exit code %d, no gw-%s in:\n%s", g.name, code, other.name, out)
			}
		}
	}
}

// clusterExplains: what one gateway was asked to accept, another one can explain.
func clusterExplains(t *testing.T, gateways []*gateway) {
	asked, config := gateways[1], filepath.Join(t.TempDir(), "fairlead.yaml")
	writeFile(t, config, asked.String())
	explain := []string{"--client", "127.0.1.7", "--repository", "team/explained", "--write", "--admin", "http://" +
		asked.admin}
	if e := explainJSON(t, config, explain...); e.Lease != nil || e.Arbiter == nil ||
		!strings.HasPrefix(*e.Arbiter, "gw-") {
		t.Errorf("before any push: lease %v, arbiter %v", e.Lease, e.Arbiter)
	}
	_, err := newRegional(t, 3, gateways[2]).push(t, "team/explained", "v1", nil)
	must(t, err)
	waitFor(t, startBound, "the other gateway to hear of it", func() error {
		if owner := asked.leases(t)["team/explained"]; owner != "westeurope" {
			return fmt.Errorf("owner %q", owner)
		}
		return nil
	})
	// By its own file the client in the west would be sent to the west.
	e := explainJSON(t, config, explain...)
	if *e.Chosen != "westeurope" || *e.Reason != "leased" || e.Lease == nil {
		t.Fatalf("%s (%s), lease %+v", *e.Chosen, *e.Reason, e.Lease)
	}
	if by := e.Lease.GrantedBy; e.Lease.Arbitrated && by != *e.Arbiter || !e.Lease.Arbitrated && by != "gw-westeurope" {
		t.Errorf("granted by %q, arbitrated %v; the arbiter is %s", by, e.Lease.Arbitrated, *e.Arbiter)
	}
	table, _ := fairlead(t, append([]string{"explain", "--config", config}, explain...)...)
	if want := "lease: westeurope, granted by " + e.Lease.GrantedBy; !strings.Contains(table, want) {
		t.Errorf("no %q in:\n%s", want, table)
	}
	if n := asked.metric(t, "fairlead_proxy_leases"); n == 0 {
		t.Error("no lease is counted by a gateway that has heard of one")
	}
}

// regional is a client in one region, who keeps to the gateway there.
type regional struct {
	http    *http.Client
	gateway *gateway
	history *history // nil: nobody asks
	began   func()   // called when a push begins; may be nil
}

func newRegional(t testing.TB, region int, g *gateway) regional {
	return newClient(t, fmt.Sprintf("127.0.%d.7", region), g)
}

func newClient(t testing.TB, ip string, g *gateway) regional {
	transport := &http.Transport{DialContext: from(ip).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return regional{http: &http.Client{Transport: transport, Timeout: patient(startBound)}, gateway: g}
}

func (c regional) send(method, path, mediaType string, body []byte, want int) (location string, err error) {
	request, err := http.NewRequest(method, c.gateway.url()+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header = manifestTypes.Clone()
	request.Header.Set("Content-Type", mediaType)
	began := c.history.now()
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode != want {
		return "", fmt.Errorf("%s %s: status %d, want %d [%s]: %s", method, path, response.StatusCode, want,
			response.Header.Get("Fairlead-Replica"), answer)
	}
	if method != http.MethodGet {
		c.history.accepted(path, response.Header.Get("Fairlead-Replica"), began)
	}
	return response.Header.Get("Location"), err
}

// push makes the smallest image: a config and no layers. ready, if not nil, is waited for before the first request.
func (c regional) push(t testing.TB, repository, tag string, ready *meeting) (descriptor, error) {
	config := []byte(fmt.Sprintf(`{"architecture":%q,"os":"linux","author":%q}`, tag, repository))
	manifest := encode(t, map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []string{},
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digestOf(config),
			"size": len(config)},
	})
	of := descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digestOf(manifest),
		Size: int64(len(manifest))}
	if ready != nil {
		ready.wait()
	}
	if c.began != nil {
		c.began()
	}
	location, err := c.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", nil, http.StatusAccepted)
	if err != nil {
		return of, err
	}
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	if _, err := c.send(http.MethodPut, location+separator+"digest="+digestOf(config), "application/octet-stream",
		config, http.StatusCreated); err != nil {
		return of, err
	}
	_, err = c.send(http.MethodPut, "/v2/"+repository+"/manifests/"+tag, of.MediaType, manifest, http.StatusCreated)
	return of, err
}

// wholeOn is the one replica that has all the tags, whole.
func wholeOn(t testing.TB, registries []*registry, repository string, tags ...string) string {
	t.Helper()
	owner := ""
	for _, tag := range tags {
		h, err := whereIs(registries, repository, tag)
		must(t, err)
		if len(h.owners) != 1 || len(h.missing) > 0 || owner != "" && owner != h.owners[0] {
			t.Errorf("%s:%s is on %v (others on %q), missing there: %v", repository, tag, h.owners, owner, h.missing)
			return ""
		}
		owner = h.owners[0]
	}
	return owner
}

// clusterLosesOne kills a gateway, which arbitrates a third of all repositories, in the middle of pushes through the
// other two.
func clusterLosesOne(t *testing.T, gateways []*gateway, registries []*registry) {
	var pushes sync.WaitGroup
	var done atomic.Int32
	for i, g := range gateways[:2] {
		c := newRegional(t, i+1, g)
		pushes.Go(func() {
			for n := range few(30, 100) {
				repository := fmt.Sprintf("killed-%d-%d", i, n)
				if _, err := c.push(t, repository, "v1", nil); err != nil {
					t.Errorf("%s: %v", repository, err)
				}
				wholeOn(t, registries, repository, "v1")
				done.Add(1)
			}
		})
	}
	waitFor(t, startBound, "pushes to be under way", func() error {
		if n := int(done.Load()); n < few(12, 40) {
			return fmt.Errorf("%d pushes", n)
		}
		return nil
	})
	gateways[2].kill()
	pushes.Wait()
	t.Logf("figure: %d pushes while the gateway that arbitrates a third of them is killed", done.Load())
	for _, g := range gateways[:2] {
		waitFor(t, startBound, g.name+" to give the dead one up", func() error {
			if names := g.members(t); len(names) != 2 {
				return fmt.Errorf("members %v", names)
			}
			return nil
		})
	}
}

// TestClusterUnreachable: one gateway cannot reach one upstream. Its answers do not move, and what it is asked for goes
// through the front of that region.
func TestClusterUnreachable(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, distributionKind, splitReplicas)
	ips := []string{"127.3.0.1", "127.3.0.2", "127.3.0.3"}
	port, dead := freePort(t, ips...), freeAddress(t, "127.3.0.9")
	gateways := startCluster(t, registries, func(i int, f *file) {
		f.listen = net.JoinHostPort(ips[i], port)
		f.networks = []network{{"127.0.45.0/24", "azure/northeurope"}} // it gets its replica back among the first
		f.health = "{interval: 2s, timeout: 2s}"                       // a busy machine must not look like a dead one
		f.replicas = append([]replica{}, f.replicas...)
		for j := range f.replicas {
			f.replicas[j].address = ips[j]
		}
		if i == 0 {
			f.replicas[2].upstream = "http://" + dead
		}
	})
	cutOff, client := gateways[0], newClient(t, "127.0.45.7", gateways[0])
	waitFor(t, startBound, "it to know that it cannot reach the upstream", func() error {
		if n := cutOff.metric(t, "fairlead_replica_up", `replica="westeurope"`, `target="upstream"`); n != 0 {
			return fmt.Errorf("up: %v", n)
		}
		return nil
	})
	asked := func() error {
		answer, err := askDNS("udp", cutOff.dns, hostname, dns.TypeA, "127.0.45.0/24")
		if err == nil && (len(answer.Answer) != 1 || !strings.HasSuffix(answer.Answer[0].String(), ips[2])) {
			err = fmt.Errorf("answer %v", answer.Answer)
		}
		return err
	}
	// It was alone with its report until the others came.
	waitFor(t, startBound, "the others' reports", asked)
	tries := 0
	waitFor(t, startBound, "the way through the front", func() error {
		tries++
		repository := fmt.Sprintf("first-%d", tries)
		if _, err := client.push(t, repository, "v1", nil); err != nil {
			return err
		}
		if h, err := whereIs(registries, repository, "v1"); err != nil || !slices.Equal(h.owners,
			[]string{"westeurope"}) {
			return fmt.Errorf("it went to %v: %w", h.owners, err)
		}
		return nil
	})
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	for n := 0; ctx.Err() == nil; n++ {
		if err := asked(); err != nil {
			t.Fatalf("its answer moved: %v", err)
		}
		repository := fmt.Sprintf("unreachable-%d", n)
		if _, err := client.push(t, repository, "v1", nil); err != nil {
			t.Fatal(err)
		}
		if owner := wholeOn(t, registries, repository, "v1"); owner != "westeurope" {
			t.Fatalf("%s went to %q", repository, owner)
		}
		if digest, err := pulled("http://"+cutOff.listen, repository, "v1"); err != nil || digest == "" {
			t.Fatal(err)
		}
	}
}
