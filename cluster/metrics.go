package cluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// How a grant came about.
const (
	howKnown        = "known"        // everybody knew already
	howArbiter      = "arbiter"      // we are the arbiter
	howArbitrated   = "arbitrated"   // the arbiter said so
	howUnarbitrated = "unarbitrated" // the arbiter did not answer: its deputy said so, or we decided alone
)

// Why something was dropped.
const (
	droppedGarbage  = "garbage"  // no message of any version
	droppedStranger = "stranger" // from no live member, or from a process that it no longer is
	droppedStale    = "stale"    // sent again, or very late
	droppedClock    = "clock"    // a grant stamped more than 24 h ahead of our clock
	droppedFull     = "full"     // more to do at once than is allowed
	droppedSend     = "send"     // could not be sent
)

type metrics struct {
	grants    *prometheus.CounterVec
	seconds   prometheus.Histogram
	conflicts prometheus.Counter
	messages  *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	dropped   *prometheus.CounterVec
	misfits   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, members, leases, divergence func() float64) *metrics {
	with := promauto.With(reg)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_cluster_members", Help: "Live members, this one included.",
	}, members)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_cluster_repositories",
		Help: "Repositories with a lease, those included whose lease has just ended.",
	}, leases)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_cluster_divergence",
		Help: "Of the 64 parts of the lease table, those that differ from a live member's twice in a row. " +
			"Above 0 for minutes: something cannot be repaired.",
	}, divergence)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		grants: counter("fairlead_cluster_grants_total",
			"Accepted writes by how their repository's owner was found.", "how"),
		seconds: with.NewHistogram(prometheus.HistogramOpts{
			Name: "fairlead_cluster_grant_seconds", Help: "Time until the owner was found, where it was not known.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .2, .3, .4, .5, .7, 1},
		}),
		conflicts: with.NewCounter(prometheus.CounterOpts{
			Name: "fairlead_cluster_conflicts_total",
			Help: "Grants that lost to an earlier one of the same repository.",
		}),
		messages: counter("fairlead_cluster_messages_total",
			"Messages, memberlist's own left out.", "type", "direction"),
		bytes: counter("fairlead_cluster_message_bytes_total",
			"Bytes of messages before compression and encryption.", "direction"),
		misfits: counter("fairlead_cluster_misfits_total",
			"Times that another gateway did not fit in: by its key, its hostname, its clock.", "what"),
		dropped: counter("fairlead_cluster_dropped_total", "What was received or to be sent and was not.", "reason"),
	}
}

// mostDiffering bounds the values of a label.
const mostDiffering = 64

var differingDesc = prometheus.NewDesc("fairlead_cluster_config_differs",
	"Live members whose file has another value than this gateway's for a key that all must have alike.",
	[]string{"key"}, nil)

// differingKeys has a series only for a key that differs now.
type differingKeys struct{ c *Cluster }

func (differingKeys) Describe(to chan<- *prometheus.Desc) { to <- differingDesc }

func (d differingKeys) Collect(to chan<- prometheus.Metric) {
	members := map[string]int{}
	for _, m := range d.c.Members() {
		for _, key := range m.Differs {
			if members[key] == 0 && len(members) >= mostDiffering {
				key = "more"
			}
			members[key]++
		}
	}
	for key, count := range members {
		to <- prometheus.MustNewConstMetric(differingDesc, prometheus.GaugeValue, float64(count), key)
	}
}

func (m *metrics) in(kind string, size int)  { m.count(kind, "in", size) }
func (m *metrics) out(kind string, size int) { m.count(kind, "out", size) }

func (m *metrics) count(kind, direction string, size int) {
	m.messages.WithLabelValues(kind, direction).Inc()
	m.bytes.WithLabelValues(direction).Add(float64(size))
}

func (m *metrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }
