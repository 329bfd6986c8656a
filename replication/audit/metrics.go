package audit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	differences *prometheus.CounterVec
	repairs     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	return &metrics{
		differences: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_audit_differences_total", Help: "What audits found on a replica that is not as the record says.",
		}, []string{"replica", "reason"}),
		repairs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_audit_repairs_total", Help: "What became of differences that replication would not have dealt with anyway.",
		}, []string{"replica", "reason", "outcome"}),
	}
}
