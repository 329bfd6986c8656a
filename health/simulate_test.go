package health

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// What the thresholds are chosen for: the file's default interval and timeout.
const (
	simInterval = 5 * time.Second
	simTimeout  = 2 * time.Second
	simYear     = 365 * 24 * time.Hour
)

var steadyUp, steadyDown = History{known: true}, History{known: true, down: true}

// chain is the Markov chain that Step makes when every probe is lost with the same probability. It is
// solved rather than sampled: a false alarm once in a hundred years cannot be counted in a sample.
type chain struct {
	states   []History
	ok, lost []int // indices of the states that follow
}

func newChain(th Thresholds) chain {
	c := chain{states: []History{steadyUp}}
	index := map[History]int{steadyUp: 0}
	visit := func(h History) int {
		i, visited := index[h]
		if !visited {
			i = len(c.states)
			index[h] = i
			c.states = append(c.states, h)
		}
		return i
	}
	for i := 0; i < len(c.states); i++ {
		c.ok = append(c.ok, visit(Step(th, c.states[i], Success)))
		c.lost = append(c.lost, visit(Step(th, c.states[i], Failure)))
	}
	return c
}

// stationary iterates until the distribution stands still.
func (c chain) stationary(loss float64) []float64 {
	now := make([]float64, len(c.states))
	now[0] = 1
	for range 20_000 {
		next := make([]float64, len(now))
		for i, p := range now {
			next[c.ok[i]] += p * (1 - loss)
			next[c.lost[i]] += p * loss
		}
		now = next
	}
	return now
}

// duration is the time from the start of a probe that leads to h to the start of the next.
func duration(h History, ok bool) time.Duration {
	if ok {
		return h.Spacing(simInterval)
	}
	return max(simTimeout, h.Spacing(simInterval))
}

// longRun is what a target that loses that share of its probes for ever looks like.
func (c chain) longRun(loss float64) (fallsPerYear, upShare float64) {
	var falls, up, total float64
	for i, p := range c.stationary(loss) {
		ok, lost := c.states[c.ok[i]], c.states[c.lost[i]]
		took := p * ((1-loss)*duration(ok, true).Seconds() + loss*duration(lost, false).Seconds())
		total += took
		if c.states[i].Up() {
			up += took
		}
		if c.states[i].Up() && !lost.Up() {
			falls += p * loss
		}
	}
	return falls / total * simYear.Seconds(), up / total
}

func resultOf(ok bool) Result {
	if ok {
		return Success
	}
	return Failure
}

// against is the result that speaks against what a history amounts to.
func against(h History) Result { return resultOf(!h.Up()) }

// sampled is longRun by throwing dice: the oracle for the arithmetic above.
func sampled(th Thresholds, loss float64, probes int) (fallsPerYear float64) {
	random := rand.New(rand.NewPCG(1, 2))
	h, falls := steadyUp, 0
	var total time.Duration
	for range probes {
		ok := random.Float64() >= loss
		next := Step(th, h, resultOf(ok))
		if h.Up() && !next.Up() {
			falls++
		}
		total += duration(next, ok)
		h = next
	}
	return float64(falls) / total.Seconds() * simYear.Seconds()
}

// reaction is the time from an event until Up changes, over all moments of the event between two probes
// of a steady target: from then on every probe gives the same result, after took.
func reaction(th Thresholds, from History, took time.Duration) (mean, worst time.Duration) {
	const moments = 1000
	for i := range moments {
		at := simInterval * time.Duration(i) / moments // the first probe that notices
		h := Step(th, from, against(from))
		for h.Up() == from.Up() {
			at += max(took, h.Spacing(simInterval))
			h = Step(th, h, against(from))
		}
		at += took
		mean += at / moments
		worst = max(worst, at)
	}
	return mean, worst
}

// TestDefaultThresholds keeps the promises of docs/adr/002-health-thresholds.md, and with -v prints its
// table.
func TestDefaultThresholds(t *testing.T) {
	for _, th := range []Thresholds{Defaults(), {3, 2, 6}, {4, 2, 8}, {5, 3, 10}, {5, 2, 15}, {6, 3, 12},
		{10, 10, 20}} {
		c := newChain(th)
		refused, refusedWorst := reaction(th, steadyUp, 0)
		hang, hangWorst := reaction(th, steadyUp, simTimeout)
		back, backWorst := reaction(th, steadyDown, 0)
		t.Logf("down %d, ok %d, up %d: refused noticed after %.1f s (worst %.0f), hanging %.1f (%.0f), back %.1f (%.0f)",
			th.Down, th.OK, th.Up, refused.Seconds(), refusedWorst.Seconds(), hang.Seconds(), hangWorst.Seconds(),
			back.Seconds(), backWorst.Seconds())
		for _, loss := range []float64{0.01, 0.05, 0.10, 0.30, 0.50} {
			falls, up := c.longRun(loss)
			t.Logf("    %2.0f %% lost: down %.3g times a year (%.2g an hour), up %.2f %% of the time",
				100*loss, falls, falls/simYear.Hours(), 100*up)
		}
	}

	c := newChain(Defaults())
	for _, promise := range []struct{ loss, fallsPerYear, upAtLeast, upAtMost float64 }{
		{0.01, 0.02, 0.9999, 1},
		{0.05, 30, 0.9999, 1},
		{0.10, 1000, 0.999, 1},
		{0.30, 8 * 8760, 0, 1}, // about the worst case of flapping
		{0.50, 1 * 8760, 0, 0.01},
	} {
		if falls, up := c.longRun(promise.loss); falls > promise.fallsPerYear || up < promise.upAtLeast ||
			up > promise.upAtMost {
			t.Errorf("loss %v: down %v times a year, up %v; promised %+v", promise.loss, falls, up, promise)
		}
	}
	for _, promise := range []struct {
		name        string
		from        History
		took        time.Duration
		mean, worst time.Duration
	}{
		{"refused", steadyUp, 0, 6500 * time.Millisecond, 9 * time.Second},
		{"hanging", steadyUp, simTimeout, 12500 * time.Millisecond, 15 * time.Second},
		{"back", steadyDown, 0, 11500 * time.Millisecond, 14 * time.Second},
	} {
		if mean, worst := reaction(Defaults(), promise.from, promise.took); mean > promise.mean ||
			worst > promise.worst {
			t.Errorf("%s: noticed after %v, at worst %v; promised %v, %v", promise.name, mean, worst, promise.mean,
				promise.worst)
		}
	}
}

func TestChainAgreesWithDice(t *testing.T) {
	for _, loss := range []float64{0.2, 0.3} {
		want, _ := newChain(Defaults()).longRun(loss)
		if got := sampled(Defaults(), loss, 1_000_000); got < 0.95*want || got > 1.05*want {
			t.Errorf("loss %v: sampled %v falls a year, calculated %v", loss, got, want)
		}
	}
}

// TestPaceThresholds keeps the promises of docs/adr/035: how often a target would be passed over whose answers are slow
// with that probability, each by itself. With -v it prints its table.
func TestPaceThresholds(t *testing.T) {
	for _, th := range []Thresholds{{3, 1, 10}, {4, 1, 10}, paceThresholds(), Defaults(), {6, 1, 10}} {
		for _, p := range []float64{0.01, 0.05, 0.08, 0.30, 0.50, 0.80} {
			falls, up := newChain(th).longRun(p)
			t.Logf("slow %d, ok %d, back %d: %2.0f %% slow answers: passed over %.3g times a year, not slow %.2f %% of the time",
				th.Down, th.OK, th.Up, 100*p, falls, 100*up)
		}
	}
	for p, perYear := range map[float64]float64{0.01: 0.001, 0.05: 3, 0.08: 30} {
		if falls, _ := newChain(paceThresholds()).longRun(p); falls > perYear {
			t.Errorf("%v slow answers: passed over %v times a year, promised %v", p, falls, perYear)
		}
	}
	if _, up := newChain(paceThresholds()).longRun(0.8); up > 0.01 {
		t.Errorf("of ten answers eight are slow: not passed over %v of the time", up)
	}
}

// flapping is a target that is alive and dead by turns, and probed first at some phase of that: refused while dead, or
// hanging.
type flapping struct {
	alive, dead, phase time.Duration
	hangs              bool
}

// answers is when DNS answers a client otherwise than before because of it, in ten minutes. Each change
// is one of whether the client is sent there.
func (f flapping) answers(interval time.Duration, client netip.Addr) (changes []time.Duration) {
	began := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	var fleet *router.Fleet
	there, h, next := true, steadyUp, f.phase
	for at := time.Duration(0); at < 10*time.Minute; at += time.Second {
		for at >= next {
			ok := next%(f.alive+f.dead) < f.alive
			h = Step(Defaults(), h, resultOf(ok))
			pause := h.Spacing(interval)
			if !ok && f.hangs {
				pause = max(pause, simTimeout)
			}
			next += pause
		}
		now := began.Add(at)
		if fleet == nil || fleet.Replica("west").Upstream.Up != h.Up() {
			fleet = router.NewFleet([]router.Replica{simReplica("west", h.Up()), simReplica("east", true)}).Returned(fleet, now)
		}
		order := router.Order{fleet.Replica("west"), fleet.Replica("east")}
		if is := router.ForDNS(order, client, now).Replica.Name == "west"; is != there {
			there, changes = is, append(changes, at)
		}
	}
	return changes
}

func simReplica(name string, up bool) router.Replica {
	return router.Replica{
		Name: name, Operator: router.Online, Writable: true, Upstream: router.Health{Up: up},
		Fronts: []router.Front{{Addr: netip.MustParseAddr("192.0.2.1"), Health: router.Health{Up: true}}},
	}
}

// mostInAMinute is how many of these moments are in the minute that has the most of them.
func mostInAMinute(moments []time.Duration) (most int) {
	for i, from := range moments {
		n := 0
		for _, at := range moments[i:] {
			if at-from < time.Minute {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// TestFlapping keeps a promise: whatever the rhythm of a replica that goes and comes, no client is sent from or to it
// more than twice in any minute after its first fall. With -v it prints how often that is at worst.
func TestFlapping(t *testing.T) {
	seconds := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 30, 35, 40, 45, 50, 55, 60}
	clients := []netip.Addr{ // by their turns
		netip.MustParseAddr("10.0.185.0"),
		netip.MustParseAddr("198.51.100.0"),
	}
	for _, interval := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second} {
		mostAnHour, mostAMinute := 0, 0
		var worst flapping
		for _, alive := range seconds {
			for _, dead := range seconds {
				for variant := range 4 {
					f := flapping{time.Duration(alive) * time.Second, time.Duration(dead) * time.Second,
						time.Duration(variant*370) * time.Millisecond, variant%2 == 1}
					changes := f.answers(interval, clients[variant/2])
					if len(changes) == 0 {
						continue
					}
					if n := mostInAMinute(changes[1:]); n > 2 {
						t.Errorf("interval %v, %+v: %d changes in a minute, at %v", interval, f, n, changes)
					}
					mostAMinute = max(mostAMinute, mostInAMinute(changes[1:]))
					if n := 6 * len(changes); n > mostAnHour {
						mostAnHour, worst = n, f
					}
				}
			}
		}
		t.Logf("interval %v: at worst %d changes a minute, %d an hour, of %+v", interval, mostAMinute, mostAnHour, worst)
	}
}

// TestDeathIsNoticed: what refuses connections is down within interval × threshold + 1 s, whatever the interval.
func TestDeathIsNoticed(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 30 * time.Second, 5 * time.Minute} {
		h := Step(Defaults(), steadyUp, Failure)
		took := interval // until the first probe that notices, at worst
		for h.Up() {
			took += h.Spacing(interval)
			h = Step(Defaults(), h, Failure)
		}
		if bound := time.Duration(Defaults().Down)*interval + time.Second; took > bound {
			t.Errorf("interval %v: noticed after %v, promised %v", interval, took, bound)
		} else {
			t.Logf("interval %v: noticed after %v at worst, promised %v", interval, took, bound)
		}
	}
}
