package health

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	up     *prometheus.GaugeVec
	slow   *prometheus.GaugeVec
	ends   *prometheus.GaugeVec
	probes *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	factory := promauto.With(reg)
	return metrics{
		up: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_replica_up",
			Help: "Whether a front or upstream counts as up (1) or down (0), also before its first result.",
		}, []string{"replica", "target", "address"}),
		slow: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_replica_slow",
			Help: "Whether a front or upstream answers in many times its usual time (1) or not (0).",
		}, []string{"replica", "target", "address"}),
		ends: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_replica_certificate_expiry_timestamp_seconds",
			Help: "When the certificate ends that a front or upstream shows, in Unix time.",
		}, []string{"replica", "target", "address"}),
		probes: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_health_probes_total",
			Help: "Probes by result.",
		}, []string{"replica", "target", "result"}),
	}
}

func (m metrics) setUp(t Target, up bool) { set(m.up, t, up) }

func (m metrics) setSlow(t Target, slow bool) { set(m.slow, t, slow) }

func (m metrics) setEnds(t Target, ends time.Time) {
	m.ends.WithLabelValues(t.Replica, t.kind(), t.address()).Set(float64(ends.Unix()))
}

func set(g *prometheus.GaugeVec, t Target, is bool) {
	value := 0.0
	if is {
		value = 1
	}
	g.WithLabelValues(t.Replica, t.kind(), t.address()).Set(value)
}

// drop ends the series of one target.
func (m metrics) drop(t Target) {
	for _, g := range []*prometheus.GaugeVec{m.up, m.slow, m.ends} {
		g.DeleteLabelValues(t.Replica, t.kind(), t.address())
	}
}

// kindOf is what probes are counted by: a replica's upstream, or its fronts together.
type kindOf struct{ replica, kind string }

func (m metrics) dropCounts(k kindOf) {
	m.probes.DeletePartialMatch(prometheus.Labels{"replica": k.replica, "target": k.kind})
}
