package health

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// probedWorld is what write probes find, and when they came.
type probedWorld struct {
	writes *Writes
	probes *WriteProbes
	log    bytes.Buffer
	began  time.Time

	mu sync.Mutex
	// Guarded by mu.
	finds map[string]WriteProbe
	came  map[string][]int // seconds since the beginning
	sizes []int
}

func (w *probedWorld) writer(name, registry string) ProbedWriter {
	return ProbedWriter{Name: name, Registry: registry, Probe: func(_ context.Context, size int) WriteProbe {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.came[name] = append(w.came[name], int(time.Since(w.began)/time.Second))
		w.sizes = append(w.sizes, size)
		return w.finds[name]
	}}
}

func (w *probedWorld) find(name string, found WriteProbe) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finds[name] = found
}

func (w *probedWorld) at(name string) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.came[name])
}

// probeWrites has write probes run for west and east, and calls test.
func probeWrites(t *testing.T, test func(w *probedWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &probedWorld{finds: map[string]WriteProbe{"west": {Status: 202}, "east": {Status: 202}},
			came: map[string][]int{}, began: time.Now()}
		log := slog.New(slog.NewTextHandler(&w.log, nil))
		w.writes = NewWrites([]Writer{{Name: "west"}, {Name: "east"}}, prometheus.NewRegistry(), log)
		w.probes = NewWriteProbes(w.writes, prometheus.NewRegistry(), log)
		w.probes.Update([]ProbedWriter{w.writer("west", "1")}, time.Second)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.probes.Run(ctx); close(ended) }()
		synctest.Wait()
		w.probes.Update([]ProbedWriter{w.writer("west", "1"), w.writer("east", "1")}, time.Second)
		test(w)
		stop()
		<-ended
		w.probes.Update([]ProbedWriter{w.writer("late", "1")}, time.Second) // nobody is there any more
	})
}

func (w *probedWorld) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWriteProbes(t *testing.T) {
	probeWrites(t, func(w *probedWorld) {
		w.sleep(500 * time.Second)
		w.find("west", WriteProbe{Status: 507})
		w.sleep(111 * time.Second)
		w.find("west", WriteProbe{Status: 202})
		if !w.writes.fails("west") || w.writes.fails("east") {
			t.Errorf("not found: %v", w.writes.Status())
		}
		w.sleep(30 * time.Second)
		if w.writes.fails("west") {
			t.Error("not back")
		}
		if want := []int{0, 300, 600, 605, 610, 615}; !slices.Equal(w.at("west"), want) {
			t.Errorf("west was probed at %v, want %v", w.at("west"), want)
		}
		if want := []int{150, 450}; !slices.Equal(w.at("east"), want) {
			t.Errorf("east was probed at %v, want %v", w.at("east"), want)
		}
		if n := testutil.ToFloat64(w.probes.results.WithLabelValues("west", "full")); n != 3 {
			t.Errorf("%v were full", n)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if !slices.Contains(w.sizes, writeProbeRoom) || w.sizes[0] != writeProbeSize {
			t.Errorf("sizes %v", w.sizes)
		}
	})
}

// One failure is looked at again soon, and decides nothing.
func TestWriteProbeThatFailsOnce(t *testing.T) {
	probeWrites(t, func(w *probedWorld) {
		w.find("west", WriteProbe{Status: 500})
		w.sleep(301 * time.Second)
		w.find("west", WriteProbe{Status: 202})
		if w.writes.fails("west") {
			t.Error("one failure counts")
		}
		w.find("west", WriteProbe{Status: 500})
		w.sleep(5 * time.Second)
		if !w.writes.fails("west") || w.writes.Status()["west"].Repository != ProbeRepository {
			t.Errorf("%+v", w.writes.Status())
		}
	})
}

// A registry that does not cancel uploads must not be filled with them; one that lets nobody write says nothing.
func TestHopelessWriteProbes(t *testing.T) {
	for name, found := range map[string]WriteProbe{
		"it cancels nothing":  {Status: 202, Stays: true, Err: errors.New("on cue")},
		"it lets nobody in":   {Status: 401, Err: errors.New("on cue")},
		"it is read-only":     {Status: 405, Err: errors.New("on cue")},
		"full, and it cannot": {Status: 507, Stays: true, Err: errors.New("on cue")},
	} {
		t.Run(name, func(t *testing.T) {
			probeWrites(t, func(w *probedWorld) {
				w.find("east", found)
				w.sleep(59 * time.Minute)
				if len(w.at("east")) != 1 || !strings.Contains(w.log.String(), "replica=east") {
					t.Errorf("probed %v, log %s", w.at("east"), &w.log)
				}
				w.writes.Note("east", begins(alice, "app", 507), time.Now().Add(-time.Minute))
				if _, due := w.writes.Failing(bob, "web", time.Now()); !slices.Equal(due, []string{"east"}) {
					t.Errorf("no push may try it: %v", due)
				}
			})
		})
	}
}

// Who does not answer is judged by the probes of reading.
func TestWriteProbeWithoutAnAnswer(t *testing.T) {
	probeWrites(t, func(w *probedWorld) {
		w.find("west", WriteProbe{Err: errors.New("on cue")})
		w.sleep(5 * time.Minute)
		if w.writes.fails("west") || len(w.at("west")) > 2 {
			t.Errorf("probed %v, %v", w.at("west"), w.writes.Status())
		}
	})
}

func TestWriteProbesUpdate(t *testing.T) {
	probeWrites(t, func(w *probedWorld) {
		w.sleep(301 * time.Second)
		w.find("west", WriteProbe{Status: 507})
		w.probes.Update([]ProbedWriter{w.writer("west", "1")}, time.Second)
		w.sleep(5 * time.Minute)
		if got := testutil.CollectAndCount(w.probes.results); got != 2 {
			t.Errorf("%d series", got)
		}
		if n := len(w.at("east")); n != 1 || len(w.at("west")) != 3 {
			t.Errorf("probed: %v", w.at("west"))
		}
		if w.writes.Status()["west"].Probed == false {
			t.Error("it is not said that it is probed")
		}
		w.probes.Update(nil, time.Second)
		w.sleep(time.Hour)
		if len(w.at("west")) != 3 || w.writes.Status()["west"].Probed {
			t.Errorf("still probed: %v", w.at("west"))
		}
		w.probes.Update([]ProbedWriter{w.writer("west", "2")}, time.Second)
		w.sleep(time.Second)
		if len(w.at("west")) != 4 {
			t.Errorf("not probed anew: %v", w.at("west"))
		}
	})
}

// What clients find out is probed soon.
func TestWriteProbeAfterClients(t *testing.T) {
	probeWrites(t, func(w *probedWorld) {
		w.sleep(301 * time.Second)
		w.writes.Note("west", begins(alice, "app", 507), time.Now())
		w.sleep(10 * time.Second)
		if w.writes.fails("west") {
			t.Errorf("not back; probed at %v", w.at("west"))
		}
		w.sleep(20 * time.Second)
		if want := []int{0, 300, 305}; !slices.Equal(w.at("west"), want) {
			t.Errorf("probed at %v, want %v", w.at("west"), want)
		}
	})
}

// Probes begin one after the other, and a replica that clients have found to fail does not wait for its turn.
func TestWriteProbeBeforeItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &probedWorld{finds: map[string]WriteProbe{"west": {Status: 202}, "east": {Status: 202}},
			came: map[string][]int{}, began: time.Now()}
		log := slog.New(slog.DiscardHandler)
		w.writes = NewWrites([]Writer{{Name: "west"}, {Name: "east"}}, prometheus.NewRegistry(), log)
		w.probes = NewWriteProbes(w.writes, prometheus.NewRegistry(), log)
		w.probes.Update([]ProbedWriter{w.writer("west", "1"), w.writer("east", "1")}, time.Second)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.probes.Run(ctx); close(ended) }()
		w.sleep(time.Second)
		for _, name := range []string{"west", "east"} {
			w.writes.Note(name, begins(alice, "app", 507), time.Now())
		}
		w.sleep(10 * time.Second)
		for _, name := range []string{"west", "east"} {
			if w.writes.fails(name) {
				t.Errorf("%s is not back; probed at %v", name, w.at(name))
			}
		}
		stop()
		<-ended
	})
}

// Where probes get no answer, for want of a token, say, clients find out when a replica takes uploads again.
func TestWriteProbeThatFindsNothingOut(t *testing.T) {
	probeWrites(t, func(w *probedWorld) {
		w.find("west", WriteProbe{Err: errors.New("on cue")})
		w.writes.Note("west", begins(alice, "app", 507), time.Now())
		w.sleep(time.Hour)
		if _, due := w.writes.Failing(bob, "web", time.Now()); !slices.Equal(due, []string{"west"}) {
			t.Errorf("no push may try it: %v, probed %d times", due, len(w.at("west")))
		}
	})
}
