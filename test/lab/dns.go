package main

import (
	"context"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// answers is a resolver for the one name. What it answers to each query is the measurement.
type answers struct {
	next func() (ip string, ttl uint32)
}

func atTheFront() answers { return answers{func() (string, uint32) { return frontIP, 0 }} }

func alternately(ips []string) answers {
	var n atomic.Uint64
	return answers{func() (string, uint32) { return ips[n.Add(1)%uint64(len(ips))], 0 }}
}

func atRandom(ips []string) answers {
	return answers{func() (string, uint32) { return ips[rand.IntN(len(ips))], 0 }}
}

// flipEvery is how long a flipping resolver stays with an answer, and what it says how long it is good for.
const flipEvery = 2 * time.Second

func flipping(ips []string) answers {
	began := time.Now()
	return answers{func() (string, uint32) {
		turn := int(time.Since(began) / flipEvery)
		return ips[turn%len(ips)], uint32(flipEvery / time.Second)
	}}
}

func (a answers) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg).SetReply(query)
	reply.Authoritative = true
	switch q := query.Question[0]; {
	case dns.CanonicalName(q.Name) != hostname+".":
		reply.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA:
		ip, ttl := a.next()
		reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET,
			Ttl: ttl}, A: net.ParseIP(ip)}}
	}
	_ = w.WriteMsg(reply) // one who does not get it asks again
}

// serveDNS answers until it is closed.
func serveDNS(ctx context.Context, address string, a answers) (stop func(), err error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	server := &dns.Server{PacketConn: conn, Handler: a}
	go func() { _ = server.ActivateAndServe() }()
	return func() { _ = conn.Close() }, nil
}
