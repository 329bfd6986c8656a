package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPartitions: cuts between machines while each of them pushes and pulls. What does not cross a cut never fails,
// nothing hangs, and when a cut has healed all agree again.
func TestPartitions(t *testing.T) {
	t.Parallel()
	r := newRegions(t)
	for i, c := range []struct {
		name string
		cut  [][2]int // from, to
	}{
		{"two that a third still reaches", [][2]int{{0, 1}, {1, 0}}},
		{"one direction", [][2]int{{0, 1}}},
		{"one member alone", [][2]int{{0, 2}, {2, 0}, {1, 2}, {2, 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if i > 0 {
				long(t)
			}
			waitFor(t, startBound, "what the cut before has left to be over", func() error { return r.allUp(t) })
			p := &partition{regions: r, name: strings.ReplaceAll(c.name, " ", "-"), cut: map[[2]int]bool{}}
			for _, way := range c.cut {
				p.cut[way], p.cut[[2]int{way[1], way[0]}] = true, true // no connection survives either
			}
			p.run(t, func() {
				for _, way := range c.cut {
					r.network.Cut(way[0], way[1])
				}
			})
		})
	}
}

// partition is one cut, and what goes on meanwhile.
type partition struct {
	*regions
	name string
	cut  map[[2]int]bool // machines that cannot talk, both ways

	mu    sync.Mutex
	phase string         // Guarded by mu.
	done  map[string]int // Guarded by mu: by worker and phase
	bad   []mishap       // Guarded by mu.
	slow  time.Duration  // Guarded by mu: what took longest of all that was done
}

// mishap is a failure; crosses says that it was to be expected.
type mishap struct {
	phase, what string
	crosses     bool
	err         error
}

// worker does one thing after the other until the partition is over.
type worker struct {
	name    string
	crosses bool // needs a way that is to be cut
	do      func(n int) error
}

// phasePushes is how many of each worker there are in each phase, at least.
func phasePushes() int { return few(2, 3) }

// pushEvery is how long each worker takes for one thing, at least. More often would keep the processors busy.
const pushEvery = 500 * time.Millisecond

func (p *partition) run(t *testing.T, cut func()) {
	base := p.base(t)
	workers := p.workers(t, base)
	p.done = map[string]int{}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer func() { stop(); all.Wait() }()
	var connected []span
	p.enter("before")
	from, alone := p.history.now(), p.decidedAlone(t)
	for _, w := range workers {
		all.Go(func() { p.work(ctx, w) })
	}
	p.await(t, workers, "before")
	connected = append(connected, span{from, p.history.now(), p.decidedAlone(t) - alone})
	cut()
	p.enter("cut")
	p.await(t, workers, "cut")
	waitFor(t, startBound, "the cut to be noticed", func() error { return p.noticed(t) })
	p.enter("noticed")
	p.await(t, workers, "noticed")
	leased := p.leased(t)
	p.network.Heal()
	p.enter("healed")
	healed, tries := time.Now(), 0
	waitFor(t, startBound, "members to be back", func() error { return p.membersBack(t) })
	back := time.Since(healed)
	waitFor(t, startBound, "all to agree again", func() error {
		if err := p.whole(t, leased); err != nil {
			return err
		}
		tries++
		return p.crossed(tries)
	})
	took := time.Since(healed)
	p.enter("after")
	from, alone = p.history.now(), p.decidedAlone(t)
	p.await(t, workers, "after")
	connected = append(connected, span{from, p.history.now(), p.decidedAlone(t) - alone})
	stop()
	all.Wait()
	p.report(t, connected, back, took)
}

// leased are the repositories of which any gateway knows an owner.
func (r *regions) leased(t testing.TB) map[string]bool {
	all := map[string]bool{}
	for _, g := range r.gateways {
		for repository := range g.leases(t) {
			all[repository] = true
		}
	}
	return all
}

func (p *partition) enter(phase string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = phase
}

// await returns when each worker has done its share in a phase.
func (p *partition) await(t *testing.T, workers []worker, phase string) {
	waitFor(t, 2*startBound, "work "+phase, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, w := range workers {
			if n := p.done[w.name+" "+phase]; n < phasePushes() {
				return fmt.Errorf("%s: %d done", w.name, n)
			}
		}
		return nil
	})
}

func (p *partition) work(ctx context.Context, w worker) {
	pace := time.NewTicker(pushEvery)
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-pace.C
		p.mu.Lock()
		began := p.phase
		p.mu.Unlock()
		started := time.Now()
		err := w.do(n)
		p.mu.Lock()
		p.slow = max(p.slow, time.Since(started))
		p.done[w.name+" "+p.phase]++
		if err != nil {
			p.bad = append(p.bad, mishap{began + "-" + p.phase, w.name, w.crosses, err})
		}
		p.mu.Unlock()
	}
}

func (p *partition) noticed(t testing.TB) error {
	for way := range p.cut {
		g := p.gateways[way[0]]
		if !slices.Contains(g.down(t), splitReplicas[way[1]].name) {
			return fmt.Errorf("%s sees %s up", g.name, splitReplicas[way[1]].name)
		}
	}
	return nil
}

func (p *partition) membersBack(t testing.TB) error {
	for _, g := range p.gateways {
		if names := g.members(t); len(names) != len(p.gateways) {
			return fmt.Errorf("%s has the members %v", g.name, names)
		}
	}
	return nil
}

// crossed: a new repository goes to the replica nearest to its first client, and so do all others that push to it.
func (p *partition) crossed(try int) error {
	for i := range p.clients {
		h, repository := newHistory(), fmt.Sprintf("%s-crossed-%d-%d", p.name, i, try)
		for j := range p.clients {
			c := p.clients[(i+j)%len(p.clients)]
			c.history = h
			if _, err := c.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", nil,
				http.StatusAccepted); err != nil {
				return err
			}
		}
		if found := twoOwners(h.events, []span{{0, h.now(), 0}}); found != nil {
			return errors.New(found[0])
		}
	}
	return nil
}

// base is an image on each machine's registry from before the cut, leased there.
func (p *partition) base(t *testing.T) []string {
	var repositories []string
	for i, c := range p.clients {
		repository := fmt.Sprintf("%s-base-%d", p.name, i)
		_, err := c.push(t, repository, "v1", nil)
		must(t, err)
		if owner := wholeOn(t, p.registries, repository, "v1"); owner != splitReplicas[i].name {
			t.Fatalf("%s is on %q", repository, owner)
		}
		repositories = append(repositories, repository)
	}
	return repositories
}

func (p *partition) workers(t *testing.T, base []string) []worker {
	var all []worker
	for i, c := range p.clients {
		all = append(all, worker{fmt.Sprintf("push and pull in %d", i), false, func(n int) error {
			repository := fmt.Sprintf("%s-local-%d-%d", p.name, i, n)
			if _, err := c.push(t, repository, "v1", nil); err != nil {
				return err
			}
			return c.pull(repository, "v1")
		}})
		for j := range p.clients {
			if i == j {
				continue
			}
			crosses := p.cut[[2]int{i, j}]
			all = append(all, worker{fmt.Sprintf("pull from %d in %d", j, i), crosses,
				func(int) error { return c.pull(base[j], "v1") }})
			all = append(all, worker{fmt.Sprintf("push to what %d owns in %d", j, i), crosses, func(n int) error {
				_, err := c.push(t, base[j], fmt.Sprintf("from-%d-%d", i, n), nil)
				return err
			}})
		}
		j := (i + 1) % len(p.clients)
		all = append(all, worker{fmt.Sprintf("push at once in %d and %d", i, j), p.cut[[2]int{i, j}],
			func(n int) error {
				repository := fmt.Sprintf("%s-shared-%d-%d", p.name, i, n)
				var errs [2]error
				race := newMeeting(2)
				var both sync.WaitGroup
				for k, c := range []regional{c, p.clients[j]} {
					both.Go(func() { _, errs[k] = c.push(t, repository, fmt.Sprintf("v%d", k), race) })
				}
				both.Wait()
				return errors.Join(errs[:]...)
			}})
	}
	return all
}

// pull gets a manifest by its tag.
func (c regional) pull(repository, tag string) error {
	_, err := c.send(http.MethodGet, "/v2/"+repository+"/manifests/"+tag, "", nil, http.StatusOK)
	return err
}

// decidedAlone is how often a gateway has granted a lease without an answer to its question.
func (p *partition) decidedAlone(t testing.TB) (grants int) {
	for _, g := range p.gateways {
		grants += int(g.metricOrZero(t, "fairlead_cluster_grants_total", `how="unarbitrated"`))
	}
	return grants
}

func (p *partition) report(t *testing.T, connected []span, back, took time.Duration) {
	crossed, others := map[string]int{}, map[string]int{}
	for _, b := range p.bad {
		if os.IsTimeout(b.err) {
			t.Errorf("%s, %s hung: %v", b.phase, b.what, b.err)
		}
		if b.crosses && b.phase != "before-before" && b.phase != "after-after" {
			crossed[b.phase]++
			continue
		}
		if others[b.phase+b.what]++; others[b.phase+b.what] < 3 {
			t.Errorf("%s, %s: %v", b.phase, b.what, b.err)
		}
	}
	for what, n := range others {
		t.Errorf("%s: %d", what, n)
	}
	done := 0
	for _, n := range p.done {
		done += n
	}
	found := twoOwners(p.history.events, connected)
	for _, f := range found {
		t.Errorf("two owners at once: %s", f)
	}
	t.Logf("figure: %d pushes and pulls; failed across the cut, by phase: %v; slowest %.1f s; members back after %.1f s, all agreed after %.1f s; two owners at once: %d in %d writes",
		done, crossed, p.slow.Seconds(), back.Seconds(), took.Seconds(), len(found), len(p.history.events))
}
