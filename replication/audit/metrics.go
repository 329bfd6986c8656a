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
			Name: "fairlead_audit_differences_total",
			Help: "Differences between a replica and the ledger that audits found.",
		}, []string{"replica", "reason"}),
		repairs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_audit_repairs_total",
			Help: "Outcomes of the differences that replication would not have dealt with.",
		}, []string{"replica", "reason", "outcome"}),
	}
}
