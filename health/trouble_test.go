package health

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

func TestTroubleIsProbedAtOnce(t *testing.T) {
	bubble(t, []Target{west, westFront}, func(w *world, m *Monitor) {
		w.start()
		sleep(2 * time.Second)
		m.Trouble("west")
		sleep(0)
		if got := w.starts(west); !slices.Equal(got, []time.Duration{0, 2e9}) {
			t.Errorf("probes of the upstream began at %v, want 0 s, 2 s", got)
		}
		if got := len(w.starts(westFront)); got != 1 {
			t.Errorf("%d probes of the front, want 1", got)
		}
		sleep(5 * time.Second)
		if got := w.starts(west); !slices.Equal(got, []time.Duration{0, 2e9, 7e9}) {
			t.Errorf("probes of the upstream began at %v, want the next an interval later", got)
		}
		m.Trouble("nowhere")
	})
}

func TestFloodOfTrouble(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.start()
		for range 10_000 {
			m.Trouble("west")
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if got := len(w.starts(west)); got != 21 { // 10 s, one per 500 ms, the first at 0
			t.Errorf("%d probes in 10 s, want 21", got)
		}
		if got := upstream(m, "west"); got != (router.Health{Up: true}) {
			t.Errorf("%+v: trouble without a failing probe is no evidence", got)
		}
	})
}

func TestTroubleWhileDeadIsNoticedSooner(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.start()
		sleep(time.Second)
		w.set(west, errTestFails)
		for range 2000 { // clients keep coming for 2 s
			m.Trouble("west")
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if upstream(m, "west").Up {
			t.Errorf("up after %d probes", len(w.starts(west)))
		}
	})
}

func TestTroubleDuringAProbeAsksForAnother(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.start()
		sleep(time.Second)
		w.set(west, errSlow)
		sleep(4500 * time.Millisecond) // in the probe of 5 s, which began before the trouble
		m.Trouble("west")
		sleep(time.Second)
		if got := w.starts(west); !slices.Equal(got, []time.Duration{0, 5e9, 6e9}) {
			t.Errorf("probes began at %v", got)
		}
	})
}
