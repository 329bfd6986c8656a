package health

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/router"
)

var (
	north     = Target{Replica: "north", URL: "http://north/v2/"}
	northern  = router.Replica{Name: "north", Operator: router.Online}
	allThree  = append(slices.Clone(twoReplicas), northern)
	westMoved = Target{Replica: "west", URL: "http://elsewhere/v2/"}
)

// Nothing of what stays may notice that something else comes and goes.
func TestUpdateDisturbsNothing(t *testing.T) {
	bubble(t, []Target{west, westFront, east}, func(w *world, m *Monitor) {
		w.set(east, errTestFails)
		w.start()
		sleep(7 * time.Second)
		w.set(west, errTestFails) // unsteady from its probe at 10 s on
		sleep(4500 * time.Millisecond)
		before, fleet := m.Status(), m.Fleet()
		for i := range 20 {
			s := settings(allThree, []Target{north, west, westFront, east})
			if i%2 == 1 {
				s = settings(twoReplicas, []Target{east, west, westFront})
			}
			m.Update(s)
		}
		sleep(0)
		after := m.Status()
		if want := []Status{before[2], before[0], before[1]}; !slices.Equal(after, want) {
			t.Errorf("got %+v\nwant %+v", after, want)
		}
		if got, want := upstream(m, "west"), fleet.Replica("west").Upstream; got != want {
			t.Errorf("west %+v, want %+v", got, want)
		}
		sleep(time.Second)
		if got := w.starts(west); !slices.Equal(got, []time.Duration{0, 5e9, 10e9, 11e9, 12e9}) {
			t.Errorf("probes of west began at %v", got)
		}
	})
}

func TestAddedReplicaIsDownUntilItsFirstGoodProbe(t *testing.T) {
	for _, row := range []struct {
		name  string
		finds error
		after time.Duration
		want  router.Health
	}{
		{"before its first result", errSlow, 999 * time.Millisecond, router.Health{ChangeIn: time.Millisecond}},
		{"good", nil, 0, router.Health{Up: true}},
		{"bad", errTestFails, 0, router.Health{}},
		{"a probe that says nothing", errHanging, 2 * time.Second, router.Health{ChangeIn: time.Millisecond}},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
				w.start()
				sleep(20 * time.Second)
				w.set(north, row.finds)
				m.Update(settings(allThree, []Target{west, east, north}))
				if upstream(m, "north").Up {
					t.Error("up before anybody asked it")
				}
				for at := 100 * time.Millisecond; at <= row.after; at += 100 * time.Millisecond {
					sleep(100 * time.Millisecond)
					m.Alive("north", time.Now())
				}
				sleep(0)
				got := upstream(m, "north")
				if got.Up != row.want.Up || got.ChangeIn > 0 != (row.want.ChangeIn > 0) {
					t.Errorf("got %+v, want %+v", got, row.want)
				}
				if !upstream(m, "west").Up || !isClosed(m.Ready()) {
					t.Error("others have noticed")
				}
			})
		})
	}
}

// Each row: what a target is replaced by, and what it counts as before its first result.
func TestChangedTargetBeginsAnew(t *testing.T) {
	with := func(change func(*Target)) Target {
		changed := west
		change(&changed)
		return changed
	}
	for _, row := range []struct {
		name  string
		to    Target
		finds error // of west before
		up    bool
	}{
		{"another server", westMoved, nil, false},
		{"another scheme", with(func(t *Target) { t.URL = "https://west/v2/" }), nil, false},
		{"dialled elsewhere", with(func(t *Target) { t.Dial = "192.0.2.1:80" }), nil, false},
		{"another path of one that is up", with(func(t *Target) { t.URL = "http://west/healthz" }), nil, true},
		{"another path of one that is down", with(func(t *Target) { t.URL = "http://west/healthz" }), errTestFails, false},
		{"another host", with(func(t *Target) { t.Host = "inner" }), nil, true},
		{"other certificates", with(func(t *Target) { t.TLSFiles = "ca.pem" }), nil, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
				w.set(west, row.finds)
				w.start()
				sleep(22 * time.Second)
				w.set(row.to, errSlow)
				m.Update(settings(twoReplicas, []Target{row.to, east}))
				sleep(0)
				if got := upstream(m, "west"); got.Up != row.up || got.ChangeIn == 0 {
					t.Errorf("got %+v, want up %v and unsteady", got, row.up)
				}
				if got := m.Status()[0]; got.Known || got.Up != row.up || got.URL != row.to.URL {
					t.Errorf("got %+v", got)
				}
				sleep(time.Second)
				if got := m.Status()[0]; !got.Known || !got.Up {
					t.Errorf("after a good probe %+v", got)
				}
			})
		})
	}
}

func TestFrontsThatAreProbedFromNowOn(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.start()
		sleep(time.Minute)
		w.set(westFront, errSlow)
		other := westFront
		other.Front = front4.Next()
		w.set(other, errSlow)
		replicas := []router.Replica{twoReplicas[0], twoReplicas[1]}
		replicas[0].Fronts = append(slices.Clone(replicas[0].Fronts), router.Front{Addr: other.Front})
		m.Update(settings(replicas, []Target{west, westFront, other}))
		got := m.Fleet().Replica("west").Fronts
		if !got[0].Health.Up || !got[1].Health.Up || got[2].Health.Up {
			t.Errorf("%+v; want up (was so), up (nobody probes it), down (a new address)", got)
		}
		m.Update(settings(twoReplicas, []Target{west}))
		sleep(time.Minute)
		if got := len(w.starts(westFront)); got > 1 {
			t.Errorf("%d probes of a front that is no longer probed", got)
		}
		if got := m.Fleet().Replica("west").Fronts; len(got) != 2 || !got[0].Health.Up {
			t.Errorf("fronts %+v", got)
		}
	})
}

func TestRemovedReplicaLeavesNothing(t *testing.T) {
	bubble(t, []Target{west, westFront, east}, func(w *world, m *Monitor) {
		w.start()
		sleep(6 * time.Second)
		w.set(north, errHanging)
		m.Update(settings(allThree, []Target{north, west, westFront, east}))
		sleep(3 * time.Second) // its second probe is under way
		began := len(w.starts(north))
		m.Update(settings(twoReplicas[1:], []Target{east}))
		sleep(2 * time.Second)
		series := gathered(t, w)
		if strings.Contains(series, "north") || strings.Contains(series, "west") || !strings.Contains(series, "east") {
			t.Errorf("series:\n%s", series)
		}
		if m.Fleet().Replica("north") != nil || m.Fleet().Replica("west") != nil {
			t.Error("the fleet has them")
		}
		m.Trouble("north")
		m.Alive("west", time.Now())
		sleep(time.Minute)
		if got := len(w.starts(north)); got != began {
			t.Errorf("%d probes of what is gone", got-began)
		}
		if got := len(m.seen) + len(m.counted) + len(m.Status()); got != 3 {
			t.Errorf("%d entries for one target", got)
		}
	})
}

func TestSeriesOfAReplicaThatIsElsewhereNow(t *testing.T) {
	bubble(t, []Target{west, westFront}, func(w *world, m *Monitor) {
		w.start()
		sleep(6 * time.Second)
		m.Update(settings(twoReplicas, []Target{westMoved, westFront}))
		sleep(time.Second)
		if n := testutil.CollectAndCount(m.metrics.up); n != 2 {
			t.Errorf("%d series, want two", n)
		}
		series := gathered(t, w)
		if strings.Contains(series, "http://west/") || !strings.Contains(series, "http://elsewhere/") {
			t.Errorf("series:\n%s", series)
		}
		if got := testutil.ToFloat64(m.metrics.probes.WithLabelValues("west", "upstream", "ok")); got != 3 {
			t.Errorf("%v probes are counted: the replica's counter goes on", got)
		}
	})
}

func TestAnotherIntervalAndTimeout(t *testing.T) {
	bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
		w.start()
		sleep(6 * time.Second)
		s := settings(twoReplicas, []Target{west, east})
		s.Interval = time.Minute
		m.Update(s)
		sleep(60 * time.Second) // 66 s
		if got := w.starts(west); !slices.Equal(got, []time.Duration{0, 5e9, 65e9}) {
			t.Errorf("longer: probes began at %v", got)
		}
		sleep(30 * time.Second) // 96 s
		s.Interval = 10 * time.Second
		m.Update(s)
		sleep(15 * time.Second)
		if got := w.starts(west)[3:]; !slices.Equal(got, []time.Duration{96e9, 106e9}) {
			t.Errorf("shorter: probes of west began at %v", got)
		}
		if got := w.starts(east)[3:]; !slices.Equal(got, []time.Duration{97e9, 107e9}) {
			t.Errorf("shorter: probes of east began at %v, not a second later", got)
		}
		w.set(west, errHanging)
		s.Timeout = 500 * time.Millisecond
		m.Update(s)
		sleep(116500*time.Millisecond - time.Since(w.began))
		if got := m.Status()[0]; got.Result != "timeout" || !got.Probed.Equal(time.Now()) {
			t.Errorf("%+v: the probe of 116 s goes on", got)
		}
	})
}

func TestReadyWhileReplicasComeAndGo(t *testing.T) {
	bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
		w.set(west, errHanging)
		w.start()
		sleep(600 * time.Millisecond)
		m.Update(settings(twoReplicas, []Target{east}))
		if !isClosed(m.Ready()) {
			t.Error("not ready, and the only one that had no result is gone")
		}
	})
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.set(north, errHanging)
		m.Update(settings(allThree, []Target{west, north}))
		w.start()
		sleep(time.Second)
		if isClosed(m.Ready()) {
			t.Error("ready before the one that was added has a result")
		}
		sleep(2 * time.Second)
		if !isClosed(m.Ready()) {
			t.Error("not ready")
		}
		m.Update(settings(allThree, []Target{west, east, north})) // must not close it again
		sleep(time.Minute)
	})
}

func TestUpdatesBesideReadersAndProbes(t *testing.T) {
	bubble(t, []Target{west, westFront, east}, func(w *world, m *Monitor) {
		w.start()
		var all sync.WaitGroup
		all.Go(func() {
			for i := range 200 {
				s := settings(allThree, []Target{north, west, westFront, east})
				if i%3 == 1 {
					s = settings(twoReplicas, []Target{east, westMoved})
				}
				s.Interval += time.Duration(i%5) * time.Second
				m.Update(s)
				time.Sleep(70 * time.Millisecond)
			}
		})
		for range 3 {
			all.Go(func() {
				for i := range 200 {
					m.Trouble("north")
					m.Alive("west", time.Now())
					m.Status()
					m.Leave(nil)
					for _, r := range m.Fleet().Replicas() {
						r.FrontUp()
					}
					w.set(east, []error{nil, errTestFails}[i/20%2])
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		all.Wait()
		m.Update(settings(twoReplicas, []Target{west, east}))
		synctest.Wait()
		if got := len(m.Status()); got != 2 {
			t.Errorf("%d targets, want 2", got)
		}
	})
}

// gathered are all series, as text.
func gathered(t *testing.T, w *world) string {
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		all = append(all, f.String())
	}
	return strings.Join(all, "\n")
}
