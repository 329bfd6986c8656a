package proxy

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// replicaCounter is a counter whose series name replicas. Those of replicas that are gone go with them, and what is
// counted of one then, at the end of a request, makes none anew.
type replicaCounter struct {
	// Static.
	*prometheus.CounterVec
	labels []string // those that name replicas, which come first

	mu   sync.RWMutex
	kept map[string]Registry // by the replicas' names; nil: all are. Guarded by mu.
}

func newReplicaCounter(of *prometheus.CounterVec, labels ...string) *replicaCounter {
	return &replicaCounter{CounterVec: of, labels: labels}
}

// inc has the label values in their order.
func (c *replicaCounter) inc(values ...string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, name := range values[:len(c.labels)] {
		if _, known := c.kept[name]; c.kept != nil && !known {
			return
		}
	}
	c.WithLabelValues(values...).Inc()
}

// keep drops all series but those of these replicas.
func (c *replicaCounter) keep(replicas map[string]Registry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.kept {
		if _, stays := replicas[name]; stays {
			continue
		}
		for _, label := range c.labels {
			c.DeletePartialMatch(prometheus.Labels{label: name})
		}
	}
	c.kept = replicas
}

// forgetKeys drops what is remembered of replicas.
func forgetKeys[V any](of map[string]V, lost map[string]bool) {
	for name := range of {
		if lost[name] {
			delete(of, name)
		}
	}
}
