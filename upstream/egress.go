package upstream

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What a body was sent for.
const (
	PathPull        = "pull"        // to a client
	pathHeal        = "heal"        // to another replica, for a push that needs it there
	pathReplication = "replication" // to another replica
)

// Where a body went.
const (
	ScopeLocal  = "local"  // to a client, from the replica beside this gateway
	scopeRemote = "remote" // anywhere else
)

// Egress counts the bytes of bodies that leave replicas through this gateway: what clouds charge for where it crosses a
// region's border.
type Egress struct {
	// Static after NewEgress.
	Here  string    // the replica beside this gateway; may be empty
	Since time.Time // when counting began

	mu    sync.Mutex
	bytes map[Flow]int64 // Guarded by mu, as all below. As many as there are pairs of replicas, times a few.
	known []string       // the replicas; nil: all are
}

// Flow is one series of the metric. Each field is of a closed set: the file's replicas, and the words above.
type Flow struct {
	Replica, Path string
	To            string // the other replica; empty for a pull
	Scope         string
	Nearest       string // "true" or "false": the client's nearest; empty for copies
}

// NewEgress begins to count, for the gateway beside a replica, which may be empty.
func NewEgress(here string, now time.Time, reg prometheus.Registerer) *Egress {
	e := &Egress{Here: here, Since: now, bytes: map[Flow]int64{}}
	reg.MustRegister(e)
	return e
}

// Pulled counts what a client got. Without `here` the gateway counts as standing where its client does, as it does for
// reads.
func (e *Egress) Pulled(replica string, nearest bool, bytes int) {
	scope := scopeRemote
	if replica == e.Here || e.Here == "" && nearest {
		scope = ScopeLocal
	}
	e.add(Flow{replica, PathPull, "", scope, strconv.FormatBool(nearest)}, bytes)
}

// Healed counts what was brought to a replica for a push.
func (e *Egress) Healed(source, target string, bytes int) {
	e.add(Flow{source, pathHeal, target, scopeRemote, ""}, bytes)
}

// Replicated counts what was copied.
func (e *Egress) Replicated(source, target string, bytes int) {
	e.add(Flow{source, pathReplication, target, scopeRemote, ""}, bytes)
}

func (e *Egress) add(f Flow, bytes int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.knows(f) {
		e.bytes[f] += int64(bytes)
	}
}

// Update forgets the flows of replicas that are none of these, and counts no more of them.
func (e *Egress) Update(replicas []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known = replicas
	maps.DeleteFunc(e.bytes, func(f Flow, _ int64) bool { return !e.knows(f) })
}

// knows needs mu.
func (e *Egress) knows(f Flow) bool {
	return e.known == nil || slices.Contains(e.known, f.Replica) && (f.To == "" || slices.Contains(e.known, f.To))
}

// Snapshot is the bytes of each flow until now.
func (e *Egress) Snapshot() map[Flow]int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.bytes)
}

var egressMetric = prometheus.NewDesc("fairlead_egress_bytes_total",
	"Bytes of bodies that a replica sent through this gateway. path: pull (to a client), heal or replication (to the replica `to`). "+
		"scope: local (to a client, from the replica beside this gateway) or remote. nearest: whether the replica was the client's nearest.",
	[]string{"replica", "path", "to", "scope", "nearest"}, nil)

// Describe and Collect make it a prometheus.Collector.
func (e *Egress) Describe(out chan<- *prometheus.Desc) { out <- egressMetric }

func (e *Egress) Collect(out chan<- prometheus.Metric) {
	for f, n := range e.Snapshot() {
		out <- prometheus.MustNewConstMetric(egressMetric, prometheus.CounterValue, float64(n), f.Replica, f.Path, f.To,
			f.Scope, f.Nearest)
	}
}
