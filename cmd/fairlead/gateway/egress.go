package gateway

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/admin"
)

// egress counts the bytes of bodies that leave replicas through this gateway: what clouds charge for where it crosses a
// region's border.
type egress struct {
	// Static after newEgress.
	here  string
	since time.Time

	mu    sync.Mutex
	bytes map[flow]int64 // Guarded by mu. As many as there are pairs of replicas, times a few.
}

// flow is one series of the metric. Each field is of a closed set: the file's replicas, and these words.
type flow struct{ replica, path, to, scope, nearest string }

const (
	scopeLocal  = "local"
	scopeRemote = "remote"
)

func newEgress(here string, now time.Time, reg prometheus.Registerer) *egress {
	e := &egress{here: here, since: now, bytes: map[flow]int64{}}
	reg.MustRegister(e)
	return e
}

// pulled: without `here` the gateway counts as standing where its client does, as it does for reads.
func (e *egress) Pulled(replica string, nearest bool, bytes int) {
	scope := scopeRemote
	if replica == e.here || e.here == "" && nearest {
		scope = scopeLocal
	}
	e.add(flow{replica, admin.PathPull, "", scope, strconv.FormatBool(nearest)}, bytes)
}

func (e *egress) Healed(source, target string, bytes int) {
	e.add(flow{source, admin.PathHeal, target, scopeRemote, ""}, bytes)
}

func (e *egress) replicated(source, target string, bytes int) {
	e.add(flow{source, admin.PathReplication, target, scopeRemote, ""}, bytes)
}

func (e *egress) add(f flow, bytes int) {
	e.mu.Lock()
	e.bytes[f] += int64(bytes)
	e.mu.Unlock()
}

func (e *egress) snapshot() map[flow]int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.bytes)
}

var egressMetric = prometheus.NewDesc("fairlead_egress_bytes_total",
	"Bytes of bodies that a replica sent through this gateway. path: pull (to a client), heal or replication (to the replica `to`). "+
		"scope: local (to a client, from the replica beside this gateway) or remote. nearest: whether the replica was the client's nearest.",
	[]string{"replica", "path", "to", "scope", "nearest"}, nil)

// Describe and Collect make it a prometheus.Collector.
func (e *egress) Describe(out chan<- *prometheus.Desc) { out <- egressMetric }

func (e *egress) Collect(out chan<- prometheus.Metric) {
	for f, n := range e.snapshot() {
		out <- prometheus.MustNewConstMetric(egressMetric, prometheus.CounterValue, float64(n), f.replica, f.path, f.to, f.scope, f.nearest)
	}
}

func (e *egress) answer() admin.Egress { return egressOf(e.here, e.since, e.snapshot()) }

// egressOf adds up, by replica and path, in the order of their names.
func egressOf(here string, since time.Time, bytes map[flow]int64) admin.Egress {
	out := admin.Egress{Here: here, Since: since, Flows: []admin.Flow{}}
	rows := map[flow]*admin.Flow{}
	for f, n := range bytes {
		key := flow{replica: f.replica, path: f.path, to: f.to}
		row := rows[key]
		if row == nil {
			row = &admin.Flow{Replica: f.replica, Path: f.path, To: f.to}
			rows[key] = row
		}
		sums := []*admin.EgressBytes{&row.EgressBytes, &out.Total}
		if f.path == admin.PathPull {
			sums = append(sums, &out.Pulls)
		}
		for _, sum := range sums {
			if f.scope == scopeLocal {
				sum.Local += n
			} else {
				sum.Remote += n
			}
		}
		if f.nearest == "true" {
			row.Nearest += n
		}
	}
	for _, row := range rows {
		out.Flows = append(out.Flows, *row)
	}
	slices.SortFunc(out.Flows, func(a, b admin.Flow) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Replica, b.Replica), cmp.Compare(a.To, b.To))
	})
	if all := out.Total.Local + out.Total.Remote; all > 0 {
		out.RemoteShare = new(float64(out.Total.Remote) / float64(all))
	}
	return out
}
