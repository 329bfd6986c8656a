package health

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

const (
	usualPace = delayed(20 * time.Millisecond)
	brownOut  = delayed(1500 * time.Millisecond)
)

// named is whom DNS names to clients that are nearest to west.
func named(m *Monitor) string {
	f := m.Fleet()
	return router.ForDNS(router.Order{f.Replica("west"), f.Replica("east")}, netip.Addr{}, time.Now()).Replica.Name
}

// until is how long it takes DNS to name a replica; alive gives signs of life of west meanwhile.
func (w *world) until(m *Monitor, name string, alive bool) time.Duration {
	began := time.Now()
	for named(m) != name && time.Since(began) < 10*time.Minute {
		sleep(100 * time.Millisecond)
		if alive {
			m.Alive("west", time.Now())
		}
	}
	return time.Since(began)
}

// online is both replicas without fronts that anybody probes.
func online() []router.Replica {
	west, east := twoReplicas[0], twoReplicas[1]
	west.Operator = router.Online
	east.Fronts = []router.Front{{Addr: front6}}
	return []router.Replica{west, east}
}

// Each row: how west answers from some moment on, and whether it answers what clients ask. It is passed over within
// 30 s, and back within a minute of its recovery.
func TestBrownOut(t *testing.T) {
	for _, row := range []struct {
		name     string
		finds    error
		answered bool
		slow     bool
	}{
		{"1.5 s instead of 20 ms", brownOut, false, true},
		{"15 s, and requests are answered", errHanging, true, true},
		{"15 s, and nobody asks", errHanging, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			var worstOver, worstBack time.Duration
			for phase := time.Duration(0); phase < 5*time.Second; phase += 250 * time.Millisecond {
				bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
					m.Update(settings(online(), []Target{west, east}))
					w.set(west, usualPace)
					w.set(east, delayed(200*time.Millisecond))
					w.start()
					sleep(2*time.Minute + phase)
					w.set(west, row.finds)
					over := w.until(m, "east", row.answered)
					if over > 30*time.Second || upstream(m, "west").Slow != row.slow {
						t.Errorf("phase %v: passed over after %v: %+v", phase, over, upstream(m, "west"))
					}
					for range 100 {
						w.answering(m, 3*time.Second)
						if named(m) != "east" {
							t.Fatal("named again while it is slow")
						}
					}
					w.set(west, usualPace)
					back := w.until(m, "west", row.answered)
					if back > time.Minute {
						t.Errorf("phase %v: back after %v", phase, back)
					}
					worstOver, worstBack = max(worstOver, over), max(worstBack, back)
				})
			}
			t.Logf("at worst passed over after %v, back after %v", worstOver, worstBack)
		})
	}
}

// Each row: all answer that much later for a while, or there is nobody else: nobody is slow.
func TestOwnTroubleMakesNobodySlow(t *testing.T) {
	for _, later := range []time.Duration{400 * time.Millisecond, 1500 * time.Millisecond} {
		for phase := time.Duration(0); phase < 5*time.Second; phase += 100 * time.Millisecond {
			bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
				w.set(west, delayed(2*time.Millisecond))
				w.set(east, delayed(150*time.Millisecond))
				w.start()
				sleep(2*time.Minute + phase)
				w.set(west, delayed(2*time.Millisecond+later))
				w.set(east, delayed(150*time.Millisecond+later))
				sleep(time.Minute)
				if got := upstream(m, "west"); got != (router.Health{Up: true}) {
					t.Errorf("phase %v: %+v; want steady: nothing is about to change", phase, got)
				}
				sleep(phase * 3 / 7)
				w.set(west, delayed(2*time.Millisecond))
				w.set(east, delayed(150*time.Millisecond))
				sleep(time.Minute)
				if strings.Contains(w.log.String(), "slow=true") {
					t.Errorf("%v later, phase %v:\n%s", later, phase, w.log.String())
				}
			})
		}
	}
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.set(west, usualPace)
		w.start()
		sleep(2 * time.Minute)
		w.set(west, brownOut)
		sleep(10 * time.Minute)
		if got := upstream(m, "west"); got != (router.Health{Up: true}) {
			t.Errorf("the only replica: %+v", got)
		}
	})
}

// pace is what comes of answers every 5 s, beside a target that is always as it was.
func pace(took ...time.Duration) Pace {
	var p Pace
	now := time.Unix(0, 0)
	for _, d := range took {
		now = now.Add(5 * time.Second)
		other := Pace{last: Sample{Began: now}}
		s := Sample{Began: now, Took: d}
		if d == 0 {
			s.Late, s.Took = true, simTimeout
		}
		p = p.Step(s, now.Add(s.Took), []Pace{other})
	}
	return p
}

func many(d time.Duration, n int) (all []time.Duration) {
	for range n {
		all = append(all, d)
	}
	return all
}

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	known := many(20*ms, paceKnown)
	after := func(more ...[]time.Duration) (all []time.Duration) {
		all = append(all, known...)
		for _, m := range more {
			all = append(all, m...)
		}
		return all
	}
	for _, row := range []struct {
		name string
		took []time.Duration // 0: late
		slow bool
	}{
		{"nothing is known", nil, false},
		{"slow from the first on: as it is", many(1500*ms, 20), false},
		{"late from the first on", many(0, 5), true},
		{"one less than it takes", after(many(time.Second, 4)), false},
		{"as many as it takes", after(many(time.Second, 5)), true},
		{"late", after(many(0, 5)), true},
		{"a good one between", after(many(time.Second, 4), many(20*ms, 1), many(time.Second, 4)), false},
		{"ten times, but little more", after(many(300*ms, 20)), false},
		{"much more, but not ten times", append(many(400*ms, paceKnown), many(1900*ms, 20)...), false},
		{"both", after(many(321*ms, 5)), true},
		{"nine good ones", after(many(time.Second, 5), many(20*ms, 9)), true},
		{"ten", after(many(time.Second, 5), many(20*ms, 10)), false},
		{"better, not good", after(many(time.Second, 5), many(150*ms, 100)), true},
		{"late once in a row of good ones", after(many(0, 5), many(20*ms, 9), many(0, 1), many(20*ms, 9)), true},
		{"so for an hour", after(many(1500*ms, 720)), true},
		{"so for two days: as it is", after(many(1500*ms, 2*17280)), false},
		{"an outlier was the first", append(many(time.Second, 1), after(many(time.Second, 5))...), true},
	} {
		if got := pace(row.took...).Slow(); got != row.slow {
			t.Errorf("%s: slow %v", row.name, got)
		}
	}
}

// Each row: the one other target, and whether its word makes a target slow whose answers came 1 s late from 1 s to 9 s.
func TestContrast(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	p := Pace{usual: time.Millisecond, answers: paceKnown, since: at(2)}
	last := Sample{Began: at(8), Took: time.Second}
	for name, row := range map[string]struct {
		other Pace
		want  bool
	}{
		"before":                      {Pace{last: Sample{Began: at(1)}}, false},
		"meanwhile":                   {Pace{last: Sample{Began: at(5)}}, true},
		"after":                       {Pace{last: Sample{Began: at(9)}}, false},
		"fails":                       {Pace{last: Sample{Began: at(5), Fails: true}}, false},
		"as much later":               {Pace{last: Sample{Began: at(5), Took: time.Second}}, false},
		"far, and not known yet":      {Pace{last: Sample{Began: at(5), Took: 500 * time.Millisecond}}, false},
		"far, and as late as it is":   {Pace{usual: time.Second, answers: paceKnown, last: Sample{Began: at(5), Took: time.Second}}, true},
		"later, but not half as much": {Pace{last: Sample{Began: at(5), Took: 200 * time.Millisecond}}, true},
		"far, and later by as much":   {Pace{usual: time.Second, answers: paceKnown, last: Sample{Began: at(5), Took: 2 * time.Second}}, false},
	} {
		if got := p.contrasts(last, []Pace{row.other}); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
