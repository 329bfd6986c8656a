package health

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/router"
)

var (
	front4 = netip.MustParseAddr("203.0.113.10")
	front6 = netip.MustParseAddr("2001:db8::10")

	west        = Target{Replica: "west", URL: "http://west/v2/"}
	westFront   = Target{Replica: "west", URL: "http://front/v2/", Front: front4}
	east        = Target{Replica: "east", URL: "http://east/v2/"}
	twoReplicas = []router.Replica{{Name: "west", Operator: router.Drain,
		Fronts: []router.Front{{Addr: front4}, {Addr: front6}}}, {Name: "east", Operator: router.Online}}
	errHanging   = errors.New("hang until the deadline")
	errSlow      = errors.New("succeed after a second")
	errTestFails = errors.New("on cue")
)

// delayed is a probe that succeeds after that time.
type delayed time.Duration

func (delayed) Error() string { return "succeed after a while" }

// world is what the probes find, and a diary of them.
type world struct {
	began    time.Time
	registry *prometheus.Registry
	log      bytes.Buffer
	start    func() // begins Run, once; whatever is set before is what the first probes find
	stop     func() // ends Run and waits for it

	mu sync.Mutex
	// Guarded by mu.
	finds  map[key]error
	probes []probed
}

type probed struct {
	key key
	at  time.Duration
}

func (w *world) probe(ctx context.Context, t Target) error {
	w.mu.Lock()
	w.probes = append(w.probes, probed{t.key(), time.Since(w.began)})
	err := w.finds[t.key()]
	w.mu.Unlock()
	if d, ok := err.(delayed); ok {
		time.Sleep(time.Duration(d))
		return nil
	}
	switch err {
	case errHanging:
		<-ctx.Done()
		return ctx.Err()
	case errSlow:
		time.Sleep(time.Second)
		return nil
	}
	return err
}

func (w *world) set(t Target, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finds[t.key()] = err
}

// starts lists when the probes of a target began.
func (w *world) starts(t Target) (all []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.probes {
		if p.key == t.key() {
			all = append(all, p.at)
		}
	}
	return all
}

// bubble makes a monitor with the default interval and timeout in fake time. test says how the targets
// do, starts it, and sees whole milliseconds, since sleep lets everything that is due at that time happen first.
func bubble(t *testing.T, targets []Target, test func(*world, *Monitor)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{began: time.Now(), registry: prometheus.NewRegistry(), finds: map[key]error{}}
		m := New(Config{
			Settings: settings(twoReplicas, targets), Registerer: w.registry, Log: slog.New(slog.NewTextHandler(&w.log, nil)), probe: w.probe,
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		w.start = sync.OnceFunc(func() { running.Go(func() { m.Run(ctx) }) })
		w.stop = func() { cancel(); running.Wait() }
		defer w.stop()
		test(w, m)
	})
}

// settings are with the default interval and timeout.
func settings(replicas []router.Replica, targets []Target) Settings {
	return Settings{Replicas: replicas, Targets: targets, Interval: 5 * time.Second, Timeout: 2 * time.Second}
}

func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func upstream(m *Monitor, replica string) router.Health { return m.Fleet().Replica(replica).Upstream }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
