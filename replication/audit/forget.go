package audit

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Forget leaves nothing of replicas that are not among those of the fleet: no series, no pace.
func (a *Audit) Forget(fleet []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fleet = fleet
	for name := range a.paces {
		if slices.Contains(fleet, name) {
			continue
		}
		delete(a.paces, name)
		a.metrics.differences.DeletePartialMatch(prometheus.Labels{"replica": name})
		a.metrics.repairs.DeletePartialMatch(prometheus.Labels{"replica": name})
	}
}

// count leaves out what concerns a replica that is gone: nobody would take its series away again.
func (a *Audit) count(of *prometheus.CounterVec, replica string, labels ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fleet == nil || slices.Contains(a.fleet, replica) {
		of.WithLabelValues(append([]string{replica}, labels...)...).Inc()
	}
}
