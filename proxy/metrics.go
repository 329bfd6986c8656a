package proxy

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/fairlead-gateway/fairlead/router"
)

type metrics struct {
	requests          *prometheus.CounterVec
	trouble           *replicaCounter
	throttled         *replicaCounter
	begunAgain        prometheus.Counter
	copies            *prometheus.CounterVec
	deletes           *prometheus.CounterVec
	resumed           *replicaCounter
	damaged           *replicaCounter
	hashed            prometheus.Counter
	uploadsBegunAgain *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, leases func() float64) *metrics {
	with := promauto.With(reg)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_proxy_leases",
		Help: "Leases that gateways agree on. Without a cluster those of this gateway, " +
			"those included that have ended and were not asked for since.",
	}, leases)
	return &metrics{
		requests: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_requests_total",
			Help: "Registry requests by what they are, why they went where they went, and status.",
		}, []string{"kind", "reason", "code"}),
		trouble: newReplicaCounter(with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_trouble_total", Help: "Requests that a replica did not answer or broke off.",
		}, []string{"replica"}), "replica"),
		throttled: newReplicaCounter(with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_throttled_total", Help: "Answers of a replica that it wants to be asked less (429).",
		}, []string{"replica"}), "replica"),
		begunAgain: with.NewCounter(prometheus.CounterOpts{
			Name: "fairlead_proxy_begun_again_total",
			Help: "Pushes that began at once with another at another replica, and were begun again there unseen.",
		}),
		copies: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_healed_total",
			Help: "Blobs and manifests of pushes that were copied to the replica that their manifest goes to, " +
				"by how that ended.",
		}, []string{"result"}),
		deletes: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_deletes_total",
			Help: "Replicas that a deletion on another was passed on to, " +
				"by whether they no longer have what was deleted.",
		}, []string{"result"}),
		resumed: newReplicaCounter(with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_resumed_total",
			Help: "Pulls of blobs that went on at another replica in their middle, or over another connection, " +
				"by why: broken, stalled, down, slow.",
		}, []string{"from", "to", "why"}), "from", "to"),
		damaged: newReplicaCounter(with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_damaged_blobs_total",
			Help: "Blobs that a replica gave out as something else than their digest says.",
		}, []string{"replica"}), "replica"),
		hashed: with.NewCounter(prometheus.CounterOpts{
			Name: "fairlead_proxy_hashed_bytes_total",
			Help: "Bytes of blobs that were compared with their digest on their way to clients.",
		}),
		uploadsBegunAgain: with.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_proxy_uploads_begun_again_total",
			Help: "Uploads that were begun again at another replica, unseen, because theirs was lost: " +
				"empty ones, ones whose content was kept, and blobs that had been committed.",
		}, []string{"why"}),
	}
}

// keep drops the series of replicas that are none of these.
func (m *metrics) keep(replicas map[string]Registry) {
	for _, c := range []*replicaCounter{m.trouble, m.throttled, m.resumed, m.damaged} {
		c.keep(replicas)
	}
}

func (m *metrics) healed(err error) {
	if err != nil {
		m.copies.WithLabelValues("failed").Inc()
		return
	}
	m.copies.WithLabelValues("copied").Inc()
}

// statusClientGone is for a client that went away before there was an answer; nginx made it usual.
const statusClientGone = 499

// statusBrokenOff is for a connection that we broke, so that the client tries again; nginx has it for that, too.
const statusBrokenOff = 444

func (m *metrics) observe(kind router.Kind, reason router.Reason, status int) {
	m.requests.WithLabelValues(string(kind), string(reason), strconv.Itoa(status)).Inc()
}
