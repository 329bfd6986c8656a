// Package dnsserver answers for the hostname and the names below it. A query becomes an answer in
// Answer, the same way for UDP and TCP and in the order of docs/dns-answers.md; udp.go and tcp.go
// only read and write.
package dnsserver

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/router"
)

// Settings are what of the file answers are made of, and what may change while a server runs.
type Settings struct {
	Nameservers []string      // as Config.Hostname; empty: NS is NODATA
	TTL         time.Duration // ceiling, at least 1 s; parts of a second are dropped
}

// Config is what a server answers from for good. All fields but MaxConns and Registerer are needed.
type Config struct {
	Hostname string // lower case, without a trailing dot
	MaxConns int    // over TCP, at once; 0 is MostConns
	// Locate places an unmapped address without a zone, for who asks to know.
	Locate func(netip.Addr) geo.Location
	// Map is the present map of the fleet's replicas, never nil. It is read once per query.
	Map func() *router.Map
	// Fleet is the present fleet, never nil. It is read once per query.
	Fleet      func() *router.Fleet
	Registerer prometheus.Registerer
	Log        *slog.Logger
}

// Server answers DNS queries. It may be used by many goroutines at once.
type Server struct {
	zone atomic.Pointer[zone] // read once per query

	// Static after New.
	locate   func(netip.Addr) geo.Location
	worldMap func() *router.Map
	fleet    func() *router.Fleet
	maxConns int
	metrics  metrics
	log      *slog.Logger

	returns returns

	logPanic sync.Once
}

// New makes a server; ServeUDP and ServeTCP connect it to sockets.
func New(c Config, settings Settings) *Server {
	s := &Server{
		locate:   c.Locate,
		worldMap: c.Map,
		fleet:    c.Fleet,
		maxConns: cmp.Or(c.MaxConns, MostConns),
		metrics:  newMetrics(c.Registerer),
		log:      c.Log,
	}
	z := newZone(c.Hostname, settings.Nameservers, settings.TTL)
	s.zone.Store(&z)
	return s
}

// Update has queries answered by other settings from now on. What resolvers have been told they keep for its TTL.
func (s *Server) Update(settings Settings) {
	z := newZone(s.zone.Load().hostname, settings.Nameservers, settings.TTL)
	s.zone.Store(&z)
}

// Answer is the reply to one query from an address; nil: there is none. The reply is at most 65,535
// bytes over TCP; over UDP at most what the client takes and what we are willing to send.
func (s *Server) Answer(query []byte, from netip.Addr, overTCP bool) []byte {
	if len(query) < headerSize {
		s.metrics.drop(dropShort)
		return nil
	}
	// Two servers that answer each other's responses would never stop (RFC 1035, section 7.3).
	if isResponse(query) {
		s.metrics.drop(dropResponse)
		return nil
	}
	q, err := parse(query)
	from = from.Unmap().WithZone("")
	d := s.decide(&q, err, from)
	reply, err := pack(&q, d, limit(q.opt, overTCP))
	if err != nil {
		s.metrics.drop(dropPack)
		return nil
	}
	s.metrics.answer(&q, d.reason)
	s.logAnswer(&q, d, from)
	return reply
}

func (s *Server) logAnswer(q *query, d decision, from netip.Addr) {
	ctx := context.Background()
	if !s.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	s.log.LogAttrs(ctx, slog.LevelDebug, "dns answer",
		slog.String("client", from.String()),
		slog.String("subnet", q.subnet.String()),
		slog.String("name", q.name),
		slog.String("type", dns.Type(q.qtype).String()),
		slog.String("rcode", dns.RcodeToString[d.rcode]),
		slog.String("reason", string(d.reason)),
		slog.String("replica", d.replica),
		slog.Int("scope", d.scope))
}

// guarded is Answer for the sockets: this process also carries pushes, and no single packet may end
// it. A hostile packet can come a million times, so only the first panic is logged; all are counted.
func (s *Server) guarded(query []byte, from netip.Addr, overTCP bool) (reply []byte) {
	defer func() {
		if p := recover(); p != nil {
			s.metrics.drop(dropPanic)
			s.logPanic.Do(func() {
				s.log.Error("dns query made us panic", "panic", p, "query", query, "stack", string(debug.Stack()))
			})
		}
	}()
	return s.Answer(query, from, overTCP)
}
