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
			Name: "fairlead_replication_tasks_total", Help: "Images brought to a replica, and deletions, by how that ended.",
		}, []string{"replica", "action", "result"}),
		blobs: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_replication_blobs_total", Help: "Blobs copied, by how that ended.",
		}, []string{"result"}),
		bytes: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_replication_sent_bytes_total", Help: "Bytes of blobs and manifests that were sent to a replica, those included that were sent twice.",
		}, []string{"replica"}),
		pending: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_replication_pending", Help: "Tags, manifests and deletions that a replica has not confirmed, or was seen to lack all the same.",
		}, []string{"replica"}),
		givenUp: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_replication_failures_given_up", Help: "Images and deletions that are not tried again until somebody says so.",
		}, []string{"replica"}),
		late: with.NewCounter(prometheus.CounterOpts{
			Name: "fairlead_replication_late_total", Help: "Committed blobs that were too many to copy at once, and come with their manifest.",
		}),
	}
}

func result(err error) string {
	if err != nil {
		return "failed"
	}
	return "done"
}
