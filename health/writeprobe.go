package health

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/fairlead-gateway/fairlead/router"
)

// ProbeRepository is where uploads are opened and cancelled to see whether a replica can write. Nothing is ever
// committed there.
const ProbeRepository = "fairlead-probe"

// How often it is probed, and with how many bytes. distribution leaves a file of 100 bytes behind for each upload that is
// cancelled, which nothing sweeps up: so it is probed seldom, and often only while it fails.
const (
	writeProbeEvery    = 5 * time.Minute
	writeProbeFailing  = 5 * time.Second
	writeProbeHopeless = time.Hour // where the registry does not cancel uploads, or does not let the gateway write
	writeProbeSize     = 4 << 10
	writeProbeRoom     = 64 << 10 // while it fails: room for a few bytes is no room for a push
)

// WriteProbe is how one upload of a probe ended.
type WriteProbe struct {
	Status int   // of the first answer that was no success, or of the last one; 0: no answer
	Stays  bool  // the upload could not be cancelled: the registry has to sweep it up
	Err    error // what went wrong; nil: nothing
}

// ProbedWriter is a replica that is probed. Probe opens an upload in ProbeRepository, sends it some bytes and cancels it.
type ProbedWriter struct {
	Name     string
	Registry string // as Writer.Registry
	Probe    func(ctx context.Context, size int) WriteProbe
}

// WriteProbes probes whether replicas can write.
type WriteProbes struct {
	// Static after NewWriteProbes.
	writes  *Writes
	results *prometheus.CounterVec
	log     *slog.Logger

	mu sync.Mutex
	// Guarded by mu.
	ctx     context.Context // of Run; nil before
	stopped bool
	timeout time.Duration
	of      map[string]*probedWriter
	all     sync.WaitGroup
}

type probedWriter struct {
	ProbedWriter
	stop context.CancelFunc
}

// NewWriteProbes probes nobody until Update says whom.
func NewWriteProbes(writes *Writes, reg prometheus.Registerer, log *slog.Logger) *WriteProbes {
	return &WriteProbes{
		writes: writes, log: log, of: map[string]*probedWriter{},
		results: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_health_write_probes_total",
			Help: "Uploads that were opened and cancelled to see whether a replica can write, by what came of them.",
		}, []string{"replica", "result"}),
	}
}

// Update has these replicas probed from now on, each probe within the timeout. One that stays is probed as before.
func (p *WriteProbes) Update(replicas []ProbedWriter, timeout time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timeout = timeout
	gone := maps.Clone(p.of)
	for i, r := range replicas {
		if old := gone[r.Name]; old != nil && old.Registry == r.Registry {
			old.Probe = r.Probe
			delete(gone, r.Name)
			continue
		}
		if old := p.of[r.Name]; old != nil {
			old.stop()
			delete(gone, r.Name)
		}
		w := &probedWriter{ProbedWriter: r, stop: func() {}}
		p.of[r.Name] = w
		p.begin(w, writeProbeEvery*time.Duration(i)/time.Duration(len(replicas)))
	}
	for name, old := range gone {
		old.stop()
		delete(p.of, name)
		p.writes.Probed(name, false)
		p.results.DeletePartialMatch(prometheus.Labels{"replica": name})
	}
}

// begin needs mu.
func (p *WriteProbes) begin(w *probedWriter, first time.Duration) {
	if p.ctx == nil || p.stopped {
		return
	}
	ctx, stop := context.WithCancel(p.ctx)
	w.stop = stop
	p.all.Go(func() { p.follow(ctx, w, first) })
}

// Run probes until ctx ends, and returns when the last probe has ended.
func (p *WriteProbes) Run(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	i := 0
	for _, w := range p.of {
		p.begin(w, writeProbeEvery*time.Duration(i)/time.Duration(len(p.of)))
		i++
	}
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.stopped = true // nobody is begun from now on
	p.mu.Unlock()
	p.all.Wait()
}

// follow probes one replica until ctx ends. One that clients have found to fail is probed soon.
func (p *WriteProbes) follow(ctx context.Context, w *probedWriter, first time.Duration) {
	for pause, left := writeProbeEvery, first; ; {
		look := min(left, writeProbeFailing)
		select {
		case <-ctx.Done():
			return
		case <-time.After(look):
		}
		left -= look
		if left <= 0 || pause == writeProbeEvery && p.writes.fails(w.Name) {
			pause = p.once(ctx, w)
			left = pause
		}
	}
}

// once probes, and returns the pause until the next probe.
func (p *WriteProbes) once(ctx context.Context, w *probedWriter) time.Duration {
	size := writeProbeSize
	if p.writes.fails(w.Name) {
		size = writeProbeRoom
	}
	p.mu.Lock()
	probe, timeout := w.Probe, p.timeout
	p.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, timeout)
	got := probe(within, size)
	cancel()
	p.mu.Lock() // whoever has ended this one meanwhile has forgotten what it found
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return writeProbeEvery
	}
	wrote := router.Wrote{Repository: ProbeRepository, Status: got.Status, Stores: true}
	result := wrote.Result()
	p.results.WithLabelValues(w.Name, string(result)).Inc()
	hopeless := got.Stays || result == router.WriteRefused && got.Status != 0
	if hopeless {
		p.log.Warn("a replica cannot be probed by an upload that is cancelled: clients' pushes find out whether it can write",
			"replica", w.Name, "status", got.Status, "error", got.Err)
	}
	// A probe that got no answer (its own login may be what fails) finds nothing out: clients have to.
	p.writes.Probed(w.Name, !hopeless && got.Status != 0)
	p.writes.Note(w.Name, wrote, time.Now())
	switch {
	case hopeless:
		return writeProbeHopeless
	case wrote.Fails() || p.writes.fails(w.Name):
		return writeProbeFailing
	}
	return writeProbeEvery
}
