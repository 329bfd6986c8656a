package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/test/machines"
)

// regions are three machines, on each a registry, the gateway beside it, and a client.
type regions struct {
	network    *machines.Network
	registries []*registry
	gateways   []*gateway
	clients    []regional
	history    *history
}

func newRegions(t testing.TB) *regions {
	t.Helper()
	return newRegionsWith(t, func(*file) {})
}

// newRegionsWith gives change the last word on each file.
func newRegionsWith(t testing.TB, change func(f *file)) *regions {
	t.Helper()
	r := &regions{network: newMachines(t, len(splitReplicas)), history: newHistory()}
	var networks []network
	for i, to := range splitReplicas {
		ip := r.network.IP(i, 1).String()
		r.registries = append(r.registries, distributionKind.start(t, to.name, freeAddress(t, ip)))
		networks = append(networks, network{r.network.IP(i, 0).String() + "/24", to.place})
	}
	r.gateways = startCluster(t, r.registries, func(i int, f *file) {
		f.networks = networks
		f.health = "{interval: 1s, timeout: 1s}"
		f.listen = net.JoinHostPort(r.registries[i].ip(), "5000")
		f.replicas = slices.Clone(f.replicas)
		for j := range f.replicas {
			f.replicas[j].address = r.registries[j].ip()
		}
		change(f)
	})
	for i, g := range r.gateways {
		c := newClient(t, r.network.IP(i, 7).String(), g)
		c.history = r.history
		r.clients = append(r.clients, c)
	}
	waitFor(t, startBound, "all to see all", func() error { return r.whole(t, nil) })
	return r
}

// whole: every gateway has all members, sees everything up, and knows the same owner as the others of each repository.
func (r *regions) whole(t testing.TB, repositories map[string]bool) error {
	for _, g := range r.gateways {
		if names := g.members(t); len(names) != len(r.gateways) {
			return fmt.Errorf("%s has the members %v", g.name, names)
		}
	}
	owners := map[string]string{}
	for _, g := range r.gateways {
		known := g.leases(t)
		for repository := range repositories {
			owner := known[repository]
			if first, other := owners[repository]; other && first != owner {
				return fmt.Errorf("%s: of %s for %s, of %s before", repository, owner, g.name, first)
			}
			owners[repository] = owner
		}
	}
	return nil
}

// allUp: no gateway sees anything down any more.
func (r *regions) allUp(t testing.TB) error {
	for _, g := range r.gateways {
		if down := g.down(t); len(down) > 0 {
			return fmt.Errorf("%s sees %v down", g.name, down)
		}
	}
	return nil
}

// down are the replicas whose upstreams this gateway cannot reach.
func (g *gateway) down(t testing.TB) (names []string) {
	var fleet struct {
		Replicas []struct {
			Name string
			Up   bool
		}
	}
	g.adminJSON(t, "/fleet", &fleet)
	for _, r := range fleet.Replicas {
		if !r.Up {
			names = append(names, r.Name)
		}
	}
	return names
}

// oneWay makes a round trip between two regions take 80 ms.
const oneWay = 40 * time.Millisecond

// TestRegions: three regions 80 ms from each other.
func TestRegions(t *testing.T) {
	long(t)
	t.Parallel()
	r := newRegions(t)
	r.network.Delay(oneWay)
	t.Run("one question", func(t *testing.T) { oneQuestion(t, r) })
	t.Run("read your push", func(t *testing.T) { readYourPush(t, r) })
	t.Run("races", func(t *testing.T) { regionsRace(t, r) })
}

// oneQuestion: a push through a gateway that is not the arbiter of the repository asks it with the first write, and no
// more.
func oneQuestion(t *testing.T, r *regions) {
	c := r.clients[0]
	took := map[bool][]time.Duration{} // of first writes, by whether another member had to be asked
	var rest []time.Duration
	for n := range 30 {
		repository := fmt.Sprintf("question-%d", n)
		asked := c.gateway.arbiter(t, repository) != "gw-"+splitReplicas[0].name
		before := c.gateway.metricOrZero(t, "fairlead_cluster_messages_total", `type="ask"`, `direction="out"`)
		began := time.Now()
		location, err := c.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", nil, http.StatusAccepted)
		must(t, err)
		took[asked] = append(took[asked], time.Since(began))
		after := c.gateway.metricOrZero(t, "fairlead_cluster_messages_total", `type="ask"`, `direction="out"`)
		began = time.Now()
		_, err = c.send(http.MethodPut, location+"&digest="+digestOf([]byte(repository)), "application/octet-stream",
			[]byte(repository), http.StatusCreated)
		must(t, err)
		rest = append(rest, time.Since(began))
		_, err = c.push(t, repository, "v1", nil)
		must(t, err)
		if n := after - before; asked && n < 1 || !asked && n != 0 {
			t.Errorf("%s: %v questions with the first write", repository, n)
		}
		if n := c.gateway.metricOrZero(t, "fairlead_cluster_messages_total", `type="ask"`,
			`direction="out"`) - after; n != 0 {
			t.Errorf("%s: %v questions with later writes", repository, n)
		}
	}
	if len(took[true]) == 0 || len(took[false]) == 0 {
		t.Fatalf("%d pushes asked, %d did not: that shows nothing", len(took[true]), len(took[false]))
	}
	t.Logf("figure: 80 ms between regions, medians: the first write of a push %v where another gateway arbitrates (%d), %v where its own does (%d); a later write %v",
		median(took[true]), len(took[true]), median(took[false]), len(took[false]), median(rest))
}

// readYourPush moves a tag with one request through one gateway, and reads it through the others as soon as word of
// that can have come to them. All registries hold what it was before.
func readYourPush(t *testing.T, r *regions) {
	const rounds = 40
	config := []byte("{}")
	before := encode(t, document{SchemaVersion: 2, MediaType: typeManifest,
		Config: &descriptor{MediaType: typeConfig, Digest: digestOf(config), Size: int64(len(config))},
		Layers: []descriptor{}})
	after := append(before[:len(before)-1:len(before)-1], `,"annotations":{"now":"newer"}}`...)
	var readers []regional
	for _, g := range r.gateways[1:] {
		readers = append(readers, newClient(t, r.network.IP(0, 8).String(), g))
	}
	var all sync.WaitGroup
	var stale, failed atomic.Int32
	for n := range rounds {
		repository := fmt.Sprintf("moved-%d", n)
		for _, at := range r.registries {
			must(t, at.putBlob(repository, config))
			must(t, at.put("/v2/"+repository+"/manifests/v1", typeManifest, before))
		}
	}
	for n := range rounds {
		path := fmt.Sprintf("/v2/moved-%d/manifests/v1", n)
		_, err := r.clients[0].send(http.MethodPut, path, typeManifest, after, http.StatusCreated)
		must(t, err)
		for _, reader := range readers {
			all.Go(func() {
				switch got, err := reader.digest(path); {
				case err != nil:
					failed.Add(1)
					t.Log(err)
				case got != digestOf(after):
					stale.Add(1)
				}
			})
		}
		all.Wait()
	}
	t.Logf("figure: %d tags moved through one gateway and read at once through two others 80 ms away: %d stale, %d failed", rounds, stale.Load(), failed.Load())
	if stale.Load() > 0 || failed.Load() > 0 {
		t.Error("a tag went back")
	}
}

// digest asks which digest a tag has.
func (c regional) digest(path string) (string, error) {
	request, err := http.NewRequest(http.MethodHead, c.gateway.url()+path, nil)
	if err != nil {
		return "", err
	}
	request.Header = manifestTypes
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: status %d [%s]", path, response.StatusCode, response.Header.Get("Fairlead-Replica"))
	}
	return response.Header.Get("Docker-Content-Digest"), nil
}

// putBlob and put store something at a registry behind the gateways' back.
func (r *registry) putBlob(repository string, content []byte) error {
	return r.putStream(repository, bytes.NewReader(content), int64(len(content)), digestOf(content))
}

func (r *registry) putStream(repository string, content io.Reader, size int64, digest string) error {
	response, err := plain.Post(r.url()+"/v2/"+repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	to, err := response.Location()
	if err != nil {
		return err
	}
	query := to.Query()
	query.Set("digest", digest)
	return r.send(to.Path+"?"+query.Encode(), "application/octet-stream", content, size)
}

func (r *registry) put(path, mediaType string, content []byte) error {
	return r.send(path, mediaType, bytes.NewReader(content), int64(len(content)))
}

func (r *registry) send(path, mediaType string, content io.Reader, size int64) error {
	request, err := http.NewRequest(http.MethodPut, r.url()+path, content)
	if err != nil {
		return err
	}
	request.ContentLength = size
	request.Header.Set("Content-Type", mediaType)
	response, err := plain.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("PUT %s: status %d", path, response.StatusCode)
	}
	return nil
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2].Round(time.Millisecond)
}

// arbiter is the member that would grant a repository's lease.
func (g *gateway) arbiter(t testing.TB, repository string) string {
	t.Helper()
	var answer struct{ Arbiter string }
	g.adminJSON(t, "/leases?repository="+repository, &answer)
	return answer.Arbiter
}

// racesAtOnce is how many repositories are raced for at a time: most of a race is spent on the wire.
const racesAtOnce = 8

// raceRounds is kept small enough for every change; a thousand were run when this was written.
const raceRounds = 100

// regionsRace: two clients in two regions begin at once, through two gateways, to push two halves of one image; a
// third makes the index. One replica must have all of it.
func regionsRace(t *testing.T, r *regions) {
	var rounds atomic.Int32
	var all sync.WaitGroup
	var mu sync.Mutex
	owners, failed, overlapped := map[string]int{}, 0, 0
	for range racesAtOnce {
		all.Go(func() {
			for round := int(rounds.Add(1)); round <= raceRounds; round = int(rounds.Add(1)) {
				repository := fmt.Sprintf("race-%d", round)
				apart, err := r.race(t, repository, round)
				owner := ""
				if err == nil {
					owner = wholeOn(t, r.registries, repository, "amd64", "arm64", "latest")
				}
				mu.Lock()
				if err != nil {
					failed++
					t.Logf("%s: %v", repository, err)
				}
				if apart < 10*time.Millisecond {
					overlapped++
				}
				owners[owner]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	grants, begunAgain := map[string]int{}, 0
	for _, g := range r.gateways {
		for _, how := range []string{"arbiter", "arbitrated", "unarbitrated"} {
			grants[how] += int(g.metricOrZero(t, "fairlead_cluster_grants_total", `how="`+how+`"`))
		}
		begunAgain += int(g.metric(t, "fairlead_proxy_begun_again_total"))
	}
	t.Logf("figure: %d repositories, two pushes at once through two gateways 80 ms apart: %d failed; %d began within 10 ms of each other, %d were begun again at the other's owner; owners %v, grants %v",
		raceRounds, failed, overlapped, begunAgain, owners, grants)
	// On a machine that is so busy that a question stays without an answer a gateway decides alone, and says so. Then a
	// push may be refused; none may be damaged.
	if failed > grants["unarbitrated"] {
		t.Errorf("%d repositories failed", failed)
	}
	if delete(owners, ""); len(owners) < 2 || begunAgain*2 < raceRounds {
		t.Errorf("owners %v, %d begun again: that shows nothing", owners, begunAgain)
	}
}

// race returns how far apart the two pushes began.
func (r *regions) race(t *testing.T, repository string, round int) (apart time.Duration, err error) {
	meet := newMeeting(2)
	var halves [2]descriptor
	var errs [2]error
	var began [2]time.Time
	var pushes sync.WaitGroup
	for i := range 2 {
		c := r.clients[(round+i)%3]
		c.began = func() { began[i] = time.Now() }
		pushes.Go(func() { halves[i], errs[i] = c.push(t, repository, []string{"amd64", "arm64"}[i], meet) })
	}
	pushes.Wait()
	index := encode(t, map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": halves[:]})
	_, err = r.clients[(round+2)%3].send(http.MethodPut, "/v2/"+repository+"/manifests/latest", typeIndex, index,
		http.StatusCreated)
	return began[0].Sub(began[1]).Abs(), errors.Join(append(errs[:], err)...)
}
