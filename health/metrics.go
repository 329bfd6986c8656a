package health

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	up     *prometheus.GaugeVec
	probes *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	factory := promauto.With(reg)
	return metrics{
		up: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_replica_up",
			Help: "Whether a front or upstream counts as up (1) or down (0), also before its first result.",
		}, []string{"replica", "target", "address"}),
		probes: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_health_probes_total",
			Help: "Probes by result.",
		}, []string{"replica", "target", "result"}),
	}
}

func (m metrics) setUp(t Target, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.up.WithLabelValues(t.Replica, t.kind(), t.address()).Set(value)
}

// drop ends the series of one target.
func (m metrics) drop(t Target) {
	m.up.DeleteLabelValues(t.Replica, t.kind(), t.address())
}

// kindOf is what probes are counted by: a replica's upstream, or its fronts together.
type kindOf struct{ replica, kind string }

func (m metrics) dropCounts(k kindOf) {
	m.probes.DeletePartialMatch(prometheus.Labels{"replica": k.replica, "target": k.kind})
}
