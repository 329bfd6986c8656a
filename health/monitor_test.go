package health

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/router"
)

func TestFirstFleetIsUp(t *testing.T) {
	m := New(Config{
		Settings:   settings(twoReplicas, []Target{west, westFront}),
		Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	steady, soon := router.Health{Up: true}, router.Health{Up: true, ChangeIn: time.Millisecond}
	got := m.Fleet().Replica("west")
	if got.Upstream != soon {
		t.Errorf("probed upstream %+v, want %+v", got.Upstream, soon)
	}
	if want := (router.Health{Up: true, ChangeIn: 500 * time.Millisecond}); got.Fronts[0].Health != want {
		t.Errorf("probed front %+v, want %+v", got.Fronts[0].Health, want)
	}
	if got.Fronts[1].Health != steady {
		t.Errorf("front that nobody probes %+v, want %+v", got.Fronts[1].Health, steady)
	}
	if got := upstream(m, "east"); got != steady {
		t.Errorf("upstream that nobody probes %+v, want %+v", got, steady)
	}
	if got.Operator != router.Drain || twoReplicas[0].Fronts[0].Health.Up {
		t.Error("the operator's word is not kept, or the caller's replicas were written to")
	}
}

func TestMonitorFollowsAnOutage(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		steps := []struct {
			finds error // from now on
			after time.Duration
			want  router.Health
		}{
			{nil, 0, router.Health{Up: true}},
			{nil, 20 * time.Second, router.Health{Up: true}},
			// The probes at 25 to 29 s fail.
			{errTestFails, 4999 * time.Millisecond, router.Health{Up: true}},
			{errTestFails, time.Millisecond, router.Health{Up: true, ChangeIn: 4 * time.Second}},
			{errTestFails, 2 * time.Second, router.Health{Up: true, ChangeIn: 2 * time.Second}},
			{errTestFails, 1999 * time.Millisecond, router.Health{Up: true, ChangeIn: time.Second}},
			{errTestFails, time.Millisecond, router.Health{}},
			{errTestFails, time.Hour, router.Health{}},
			// Back: within 5 s the first of ten successes.
			{nil, 5 * time.Second, router.Health{ChangeIn: 9 * time.Second}},
			{nil, 8 * time.Second, router.Health{ChangeIn: time.Second}},
			{nil, time.Second, router.Health{Up: true}},
		}
		for i, step := range steps {
			w.set(west, step.finds)
			w.start()
			sleep(step.after)
			if got := upstream(m, "west"); got != step.want {
				t.Fatalf("step %d: %+v, want %+v", i, got, step.want)
			}
		}
		lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
		want := []string{
			`msg="health changed" replica=west target=upstream address=http://west/v2/ up=false reason="on cue"`,
			`msg="health changed" replica=west target=upstream address=http://west/v2/ up=true reason=ok`,
		}
		if !slices.EqualFunc(lines, want, strings.HasSuffix) {
			t.Errorf("log:\n%s", w.log.String())
		}
	})
}

func TestTargetThatHangs(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.start()
		sleep(time.Second)
		w.set(west, errHanging)
		sleep(6 * time.Second) // the probe of 5 s has timed out, and the next is under way
		if got, want := upstream(m, "west"), (router.Health{Up: true, ChangeIn: 3 * time.Second}); got != want {
			t.Errorf("after one timeout %+v, want %+v", got, want)
		}
		sleep(8*time.Second - time.Millisecond)
		if !upstream(m, "west").Up {
			t.Error("down before the fifth timeout")
		}
		sleep(time.Millisecond)
		if upstream(m, "west").Up {
			t.Error("up after five timeouts")
		}
		if got := m.Status()[0].Result; got != "timeout" {
			t.Errorf("last result %q", got)
		}
		if got := w.starts(west)[1:]; !slices.Equal(got, []time.Duration{5e9, 7e9, 9e9, 11e9, 13e9}) {
			t.Errorf("probes began at %v", got)
		}
	})
}

func TestFirstResultDecides(t *testing.T) {
	bubble(t, []Target{west, westFront, east}, func(w *world, m *Monitor) {
		w.set(west, errTestFails)
		w.start()
		sleep(0)
		if upstream(m, "west").Up {
			t.Error("up after a first failure")
		}
		if !m.Fleet().Replica("west").FrontUp() {
			t.Error("the upstream's failure took the front down")
		}
	})
}

func TestFrontsAreJudgedApart(t *testing.T) {
	mapped := westFront
	mapped.Front = netip.AddrFrom16(front4.As16()) // ::ffff:203.0.113.10
	bubble(t, []Target{west, mapped}, func(w *world, m *Monitor) {
		w.set(mapped, errTestFails)
		w.start()
		sleep(time.Second)
		got := m.Fleet().Replica("west")
		if got.Fronts[0].Health.Up || !got.Fronts[1].Health.Up || !got.Upstream.Up {
			t.Errorf("fronts %+v, upstream %+v; want down, up; up", got.Fronts, got.Upstream)
		}
	})
}

func TestFleetIsReplacedOnlyByChange(t *testing.T) {
	bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
		w.start()
		sleep(time.Second)
		before := m.Fleet()
		sleep(time.Hour)
		if m.Fleet() != before {
			t.Error("a new fleet, and nothing changed")
		}
		w.set(east, errTestFails)
		sleep(5 * time.Second)
		if m.Fleet() == before || upstream(m, "east").ChangeIn == 0 {
			t.Error("the old fleet after a failure")
		}
		if before.Replica("east").Upstream.ChangeIn != 0 {
			t.Error("a published fleet was written to")
		}
	})
}

func TestProbesAreSpread(t *testing.T) {
	bubble(t, []Target{west, westFront, east}, func(w *world, m *Monitor) {
		w.start()
		sleep(11 * time.Second)
		for target, first := range map[*Target]time.Duration{&west: 0, &westFront: time.Second / 3,
			&east: 2 * (time.Second / 3)} {
			got := w.starts(*target)
			want := []time.Duration{first, first + 5*time.Second, first + 10*time.Second}
			if !slices.EqualFunc(got, want, func(a, b time.Duration) bool { return (a - b).Abs() < time.Microsecond }) {
				t.Errorf("%s %s: probes began at %v, want %v", target.Replica, target.kind(), got, want)
			}
		}
	})
}

func TestReady(t *testing.T) {
	bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
		w.set(west, errHanging)
		w.set(east, errTestFails) // known, if not good
		w.start()
		sleep(2*time.Second - time.Millisecond)
		if isClosed(m.Ready()) {
			t.Error("ready while west is unknown")
		}
		sleep(time.Millisecond)
		if !isClosed(m.Ready()) {
			t.Error("not ready, and both have a result")
		}
		sleep(time.Minute) // must not be closed twice
	})
	bubble(t, nil, func(_ *world, m *Monitor) {
		if !isClosed(m.Ready()) {
			t.Error("not ready with nothing to wait for")
		}
	})
}

func TestStatus(t *testing.T) {
	bubble(t, []Target{west, westFront}, func(w *world, m *Monitor) {
		w.set(westFront, errTestFails)
		unknown := Status{Replica: "west", URL: "http://west/v2/", Up: true, Result: "not probed yet"}
		if got := m.Status()[0]; got != unknown {
			t.Errorf("first: got %+v, want %+v", got, unknown)
		}
		w.start()
		sleep(6 * time.Second)
		want := []Status{
			{Replica: "west", URL: "http://west/v2/", Up: true, Known: true, Result: "ok",
				Since: w.began, Probed: w.began.Add(5 * time.Second)},
			{Replica: "west", URL: "http://front/v2/", Front: front4, Known: true, Result: "on cue",
				Since: w.began.Add(500 * time.Millisecond), Probed: w.began.Add(5500 * time.Millisecond)},
		}
		if got := m.Status(); !slices.Equal(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	})
}

func TestMetrics(t *testing.T) {
	bubble(t, []Target{west, westFront}, func(w *world, m *Monitor) {
		w.set(westFront, errHanging)
		w.start()
		sleep(6 * time.Second)
		want := `
# HELP fairlead_health_probes_total Probes by result.
# TYPE fairlead_health_probes_total counter
fairlead_health_probes_total{replica="west",result="ok",target="upstream"} 2
fairlead_health_probes_total{replica="west",result="timeout",target="front"} 1
# HELP fairlead_replica_slow Whether a front or upstream answers in many times its usual time (1) or not (0).
# TYPE fairlead_replica_slow gauge
fairlead_replica_slow{address="203.0.113.10",replica="west",target="front"} 0
fairlead_replica_slow{address="http://west/v2/",replica="west",target="upstream"} 0
# HELP fairlead_replica_up Whether a front or upstream counts as up (1) or down (0), also before its first result.
# TYPE fairlead_replica_up gauge
fairlead_replica_up{address="203.0.113.10",replica="west",target="front"} 0
fairlead_replica_up{address="http://west/v2/",replica="west",target="upstream"} 1
`
		if err := testutil.GatherAndCompare(w.registry, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
		if problems, err := testutil.GatherAndLint(w.registry); err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	})
}

func TestRunEndsWithinAProbe(t *testing.T) {
	bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
		w.set(west, errHanging)
		w.start()
		sleep(time.Second)
		w.stop()
		if ended := time.Since(w.began); ended != time.Second {
			t.Errorf("ended after %v, told to after 1 s", ended)
		}
		if got := m.Status()[0]; got.Known {
			t.Errorf("our own end was taken for a result: %+v", got)
		}
	})
}

func TestReadersBesideProbes(t *testing.T) {
	bubble(t, []Target{west, westFront, east}, func(w *world, m *Monitor) {
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				for i := range 200 {
					m.Trouble("west")
					m.Status()
					m.Fleet().Replica("west").FrontUp()
					w.set(east, []error{nil, errTestFails}[i/20%2])
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		readers.Wait()
	})
}

// TestMonitorWithRealSockets joins the two halves: all else here probes a fake, or once.
func TestMonitorWithRealSockets(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(good.Close)
	m := New(Config{
		Settings: Settings{
			Replicas: twoReplicas,
			Targets:  []Target{{Replica: "west", URL: good.URL + "/v2/"}, {Replica: "east", URL: answer(t, 503)}},
			Interval: 50 * time.Millisecond, Timeout: patient,
		},
		Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { m.Run(ctx) })
	<-m.Ready()
	if !upstream(m, "west").Up || upstream(m, "east").Up {
		t.Errorf("west %+v, east %+v; want up, down", upstream(m, "west"), upstream(m, "east"))
	}
	cancel()
	run.Wait()
	if got := m.Status()[1].Result; got != "status 503" {
		t.Errorf("last result %q", got)
	}
}
