package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// changed is a gateway whose file is edited, with what asks it meanwhile.
type changed struct {
	*gateway
	t          *testing.T
	registries []*registry
	image      image // that is pulled

	lost   losses
	pushed int
	stop   chan struct{}
	all    sync.WaitGroup
}

// startChanged has four registries, of which the file names the first three.
func startChanged(t *testing.T) *changed {
	c := &changed{t: t, stop: make(chan struct{})}
	fourth := replica{name: "japaneast", place: "azure/japaneast"}
	replicas := append(slices.Clone(splitReplicas), fourth)
	c.registries = startRegistries(t, distributionKind, replicas)
	c.gateway = startProgram(t, built(t, shippedProgram), "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks, state: t.TempDir(), replication: "{concurrency: 2}",
		replicas: withUpstreams(replicas, c.registries)[:3],
	})
	c.image = newImage(t, "amd64")
	if err := cranePush(t, c.image, c.listen+"/pulled:v1"); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask begins 2,000 queries and so many pulls a second, and so many pushes at a time.
func (c *changed) ask(pulls, pushes int) {
	c.all.Go(func() { query(c.t, c.dns, c.stop, &c.lost) })
	client := &http.Client{Timeout: patient(time.Minute), Transport: &http.Transport{
		DialContext: from("127.0.1.7").DialContext, MaxIdleConnsPerHost: pulls}}
	c.all.Go(func() {
		var each sync.WaitGroup
		defer each.Wait()
		room := make(chan struct{}, 64)
		for tick := time.NewTicker(time.Second / time.Duration(pulls)); ; {
			select {
			case <-c.stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			room <- struct{}{}
			each.Go(func() {
				defer func() { <-room }()
				at := time.Now()
				_, err := fetch(client, c.url()+"/v2/pulled/blobs/"+c.image.doc.Layers[0].Digest,
					c.image.doc.Layers[0].Digest)
				c.lost.request(at, err)
			})
		}
	})
	pusher := &http.Client{Timeout: patient(2 * time.Minute), Transport: thin{
		client.Transport, time.Duration(number(c.t, "FAIRLEAD_CHANGES_PUSH_SECONDS", 0)) * time.Second}}
	var mu sync.Mutex
	for i := range pushes {
		c.all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-c.stop:
					return
				default:
				}
				at := time.Now()
				err := pushImage(pusher, c.url(), fmt.Sprintf("pushed-%d-%d", i, n), 256<<10)
				c.lost.request(at, err)
				mu.Lock()
				c.pushed++
				mu.Unlock()
			}
		})
	}
}

// end ends the load, and wants nothing lost.
func (c *changed) end() {
	c.t.Helper()
	close(c.stop)
	c.all.Wait()
	c.t.Logf("figure: %d requests, %d pushes, %d queries: %d requests failed, %d queries lost",
		c.lost.asked, c.pushed, c.lost.queried, len(c.lost.requests), len(c.lost.queries))
	if len(c.lost.requests) > 0 || len(c.lost.queries) > 0 {
		c.t.Errorf("%d requests failed, %d queries were lost\n%s", len(c.lost.requests), len(c.lost.queries),
			strings.Join(c.lost.why, "\n"))
	}
}

// thin is a line over which a body takes so long: many pushes are under way at once, and few end in a second.
type thin struct {
	http.RoundTripper
	takes time.Duration
}

func (l thin) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.takes > 0 && r.ContentLength > 0 {
		of := *r
		of.Body = &thinBody{r.Body, r.ContentLength, l.takes}
		r = &of
	}
	return l.RoundTripper.RoundTrip(r)
}

type thinBody struct {
	io.ReadCloser
	size  int64
	takes time.Duration
}

func (b *thinBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), max(b.size/16, 1))])
	time.Sleep(b.takes * time.Duration(n) / time.Duration(b.size))
	return n, err
}

func (c *changed) edit(content, result string, inPlace bool) {
	c.t.Helper()
	c.gateway.edit(c.t, content, result, inPlace)
}

// path is the file that it was started with.
func (g *gateway) path() string { return g.cmd.Args[slices.Index(g.cmd.Args, "--config")+1] }

// edit writes that file, by a rename or in place, and waits until the gateway has looked at it.
func (g *gateway) edit(t *testing.T, content, result string, inPlace bool) {
	t.Helper()
	path := g.path()
	before := g.metricOrZero(t, "fairlead_config_loads_total", `result="`+result+`"`)
	if inPlace {
		writeFile(t, path, content)
	} else {
		writeFile(t, path+".new", content)
		must(t, os.Rename(path+".new", path))
	}
	waitFor(t, startBound, "the file to be "+result, func() error {
		if g.metricOrZero(t, "fairlead_config_loads_total", `result="`+result+`"`) > before {
			return nil
		}
		return fmt.Errorf("not yet: %s", content)
	})
}

// keeps is what a gateway holds that must not grow.
type keeps struct{ goroutines, descriptors, series int }

func (c *changed) keeps() keeps {
	return keeps{
		int(c.metric(c.t, "go_goroutines")), int(c.metric(c.t, "process_open_fds")),
		strings.Count(c.adminText(c.t, "/metrics"), "\n"),
	}
}

// TestChangesUnderLoad edits the file of a gateway again and again, each kind of key in turn, replicas that come and go
// among them. Nobody notices. FAIRLEAD_CHANGES is how often, FAIRLEAD_CHANGES_LOAD how many pulls there are a second.
func TestChangesUnderLoad(t *testing.T) {
	t.Parallel()
	long(t)
	c := startChanged(t)
	all := withUpstreams(append(slices.Clone(splitReplicas), replica{name: "japaneast", place: "azure/japaneast"}),
		c.registries)
	f := c.file
	f.replicas = slices.Clone(f.replicas)
	at := func(i int, more string) func() { return func() { f.replicas[i].more = more } }
	edits := []func(){
		func() { f.replicas = append(f.replicas, all[3]) },
		at(1, ", bias: 7"), at(1, ", state: drain"), at(1, ", state: offline"), at(1, ""), at(2, ", write: false"),
		at(2, ", storage: shared"), at(2, ""),
		func() { f.replicas[1].address = "127.0.0.22" },
		func() { f.replicas[0].home, f.replicas[1].home = false, true },
		func() { f.replicas = f.replicas[:3] },
		func() { f.health = "{fronts: false, interval: 2s, timeout: 1s}" },
		func() { f.limits = "{first_byte: 6s, hashing: 5, client_share: 90}" },
		func() { f.networks = append(slices.Clone(f.networks), network{"127.0.4.0/24", "azure/japaneast"}) },
		func() { f.networks = f.networks[:3] },
		func() {
			f.replication = `{concurrency: 3, bandwidth: 100000000, filters: [{repositories: ["left-out/*"]}]}`
		},
		func() { f.replication = "{concurrency: 2}" },
		func() { f.paths = "[/token]" },
		func() { f.trusted = "[127.0.9.0/24]" },
		func() {
			f.webhooks = "webhooks: [{name: changed, uri: 'http://127.0.0.1:9/', actions: [push], status: disabled}]\n"
		},
		func() {
			f.webhooks, f.paths, f.trusted, f.limits, f.health = "", "", "", "", "{fronts: false}"
			f.replicas[0].home, f.replicas[1].home = true, false
			f.replicas[1].address = all[1].address
		},
	}
	c.ask(number(t, "FAIRLEAD_CHANGES_LOAD", 50), number(t, "FAIRLEAD_CHANGES_PUSHES", 2))
	var before keeps
	changes := number(t, "FAIRLEAD_CHANGES", len(edits))
	for i := range changes {
		if i == 1 {
			before = c.keeps()
		}
		edits[i%len(edits)]()
		c.edit(f.String(), "ok", i%2 == 0)
	}
	c.end()
	t.Logf("figure: %d changes of the file", changes)
	if changes%len(edits) == 0 {
		waitFor(t, startBound, "nothing to be left over", func() error {
			if now := c.keeps(); now.goroutines > before.goroutines+50 || now.descriptors > before.descriptors+50 ||
				strings.Contains(c.adminText(t, "/metrics"), "japaneast") {
				return fmt.Errorf("%+v, at first %+v", now, before)
			}
			return nil
		})
	}
}

// inForce is the file as the gateway has it, without what it has refused.
func (c *changed) inForce() string {
	c.t.Helper()
	shown, code := c.asks(c.t, "config", "show")
	values, _, found := strings.Cut(shown, "in force since")
	if code != 0 || !found {
		c.t.Fatalf("exit code %d: %s", code, shown)
	}
	return values
}

// mutations break a file, each in a way of its own. What is left is wrong whatever was there before.
var mutations = []func(lines []string, r *rand.Rand) []string{
	func(lines []string, r *rand.Rand) []string { return slices.Insert(lines, r.IntN(len(lines)), "\t: [") },
	func(lines []string, _ *rand.Rand) []string { return append(lines, "hostnam: registry.example.test") },
	func(lines []string, _ *rand.Rand) []string { return lines[1:] },
	func(lines []string, _ *rand.Rand) []string { return append(lines, "lease: {idle: 1}") },
	func(lines []string, r *rand.Rand) []string {
		i := r.IntN(len(lines) - 1)
		lines[i] += "\xff"
		return lines
	},
	func(lines []string, _ *rand.Rand) []string { return slices.Concat(lines, []string{"---"}, lines) },
	func(lines []string, _ *rand.Rand) []string {
		return strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), "place: azure/", "place: azur/"), "\n")
	},
	func(lines []string, _ *rand.Rand) []string {
		return strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), "home: true", "home: false"), "\n")
	},
	func(lines []string, _ *rand.Rand) []string {
		return strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), "home: false", "home: true"), "\n")
	},
	func(lines []string, r *rand.Rand) []string {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "replicas:") })
		return slices.Insert(lines, i+1, lines[i+1+r.IntN(3)])
	},
	func(lines []string, r *rand.Rand) []string { return append(lines, lines[r.IntN(3)]) },
}

// TestMutatedEdits breaks the file of a gateway in many ways. Each is refused with its line, and changes nothing.
// FAIRLEAD_MUTATIONS is how many.
func TestMutatedEdits(t *testing.T) {
	t.Parallel()
	long(t)
	c := startChanged(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	good := c.String()
	shown := c.inForce()
	c.ask(number(t, "FAIRLEAD_CHANGES_LOAD", 50), number(t, "FAIRLEAD_CHANGES_PUSHES", 2))
	edits := number(t, "FAIRLEAD_MUTATIONS", 6)
	for i := range edits {
		lines := mutations[i%len(mutations)](strings.Split(strings.TrimRight(good, "\n"), "\n"), r)
		c.edit(strings.Join(lines, "\n")+fmt.Sprintf("\n# %d\n", i), "refused", r.IntN(2) == 0)
		if _, ready, err := c.askAdmin("/readyz?verbose"); err != nil || !strings.Contains(string(ready), c.path()+":") {
			t.Errorf("edit %d: %v, no line of %s in\n%s", i, err, c.path(), ready)
		}
		if now := c.inForce(); now != shown {
			t.Fatalf("edit %d has changed what is in force:\n%s\nbefore:\n%s", i, now, shown)
		}
	}
	c.edit(good+"# good again\n", "unchanged", false)
	if _, ready, err := c.askAdmin("/readyz?verbose"); err != nil || strings.Contains(string(ready), c.path()+":") {
		t.Errorf("still refused: %v\n%s", err, ready)
	}
	c.end()
	t.Logf("figure: %d edits refused", edits)
}
