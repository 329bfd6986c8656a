package replication

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	tasks   *prometheus.CounterVec
	blobs   *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	pending *prometheus.GaugeVec
	givenUp *prometheus.GaugeVec
	late    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	return &metrics{
		tasks: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_replication_tasks_total", Help: "Images copied to a replica, and deletions, by result.",
		}, []string{"replica", "action", "result"}),
		blobs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_replication_blobs_total", Help: "Blobs copied, by result.",
		}, []string{"result"}),
		bytes: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_replication_sent_bytes_total",
			Help: "Bytes of blobs and manifests sent to a replica, those that were sent twice included.",
		}, []string{"replica"}),
		pending: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_replication_pending",
			Help: "Tags, manifests and deletions that a replica has not confirmed, or was seen to lack though it has.",
		}, []string{"replica"}),
		givenUp: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_replication_failures_given_up",
			Help: "Images and deletions that have failed too often, and wait for `fairlead replication retry`.",
		}, []string{"replica"}),
		late: with.NewCounter(prometheus.CounterOpts{
			Name: "fairlead_replication_late_total",
			Help: "Blobs that were not copied when they were committed, since too many were, but with their manifest.",
		}),
	}
}

func result(err error) string {
	if err != nil {
		return "failed"
	}
	return "done"
}
