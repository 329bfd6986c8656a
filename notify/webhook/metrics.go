package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	attempts *prometheus.CounterVec
	ended    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, pending func() float64) *metrics {
	with := promauto.With(reg)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_webhook_pending",
		Help: "Deliveries that are queued, those included that are under way or wait to be tried again.",
	}, pending)
	return &metrics{
		attempts: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_webhook_attempts_total", Help: "Requests to receivers by how they ended.",
		}, []string{"result"}),
		ended: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_webhook_deliveries_total",
			Help: "Deliveries that ended: delivered, dead after the last attempt, or dropped because the queue was full.",
		}, []string{"state"}),
	}
}
