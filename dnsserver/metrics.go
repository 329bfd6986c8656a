package dnsserver

import (
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/fairlead-gateway/fairlead/router"
)

// Reasons of answers that no replica was chosen for. They stand beside the router's in one label.
const (
	reasonFixed    router.Reason = "fixed"  // SOA, NS, ANY: the same for everyone
	reasonWhoami   router.Reason = "whoami" // different for everyone
	reasonNoData   router.Reason = "nodata"
	reasonNXDomain router.Reason = "nxdomain"
	reasonRefused  router.Reason = "refused"
	reasonFormErr  router.Reason = "formerr"
	reasonNotImp   router.Reason = "notimp"
	reasonBadVers  router.Reason = "badvers"
)

// why something got no reply: a closed set.
type why string

const (
	dropShort    why = "short"    // no complete header
	dropResponse why = "response" // QR is set
	dropPack     why = "pack"     // the reply cannot be written down: a fault of ours
	dropPanic    why = "panic"    // a fault of ours
	dropRead     why = "read"     // the socket could not be read from, or a connection not accepted
	dropWrite    why = "write"    // the reply could not be sent
	dropBusy     why = "busy"     // a TCP connection closed to make room for a newer one
)

type metrics struct {
	answers *prometheus.CounterVec
	dropped map[why]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	answers := f.NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_dns_answers_total",
		Help: "DNS queries answered, by type asked and why the answer is what it is.",
	}, []string{"type", "reason"})
	dropped := f.NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_dns_dropped_total",
		Help: "DNS packets and connections that got no reply, by why.",
	}, []string{"why"})
	m := metrics{answers: answers, dropped: map[why]prometheus.Counter{}}
	for _, w := range []why{dropShort, dropResponse, dropPack, dropPanic, dropRead, dropWrite, dropBusy} {
		m.dropped[w] = dropped.WithLabelValues(string(w))
	}
	return m
}

func (m metrics) drop(w why) { m.dropped[w].Inc() }

func (m metrics) answer(q *query, r router.Reason) {
	m.answers.WithLabelValues(typeLabel(q.qtype), string(r)).Inc()
}

// typeLabel bounds the label: a stranger could ask for 65,536 types.
func typeLabel(t uint16) string {
	switch t {
	case dns.TypeA, dns.TypeAAAA, dns.TypeSOA, dns.TypeNS, dns.TypeTXT, dns.TypeANY:
		return dns.TypeToString[t]
	}
	return "other"
}
