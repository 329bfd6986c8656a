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
			Help: "Whether a front or upstream counts as up (1) or down (0); 1 before the first result.",
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
