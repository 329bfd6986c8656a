package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/proxy"
	"github.com/fairlead-gateway/fairlead/replication"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// Tombstones that all replicas have confirmed are kept for retention: a gateway that was away for longer has to begin with an
// empty `state`, or it may bring back what was deleted.
const (
	retention    = 30 * 24 * time.Hour
	compactEvery = time.Hour
)

// lookEvery is how often the engine looks whether the fleet is another one: what comes back gets what it lacks without delay.
const lookEvery = time.Second

// copying brings what was pushed to one replica to the others.
type copying struct {
	// Static after newCopying.
	*replication.Engine
	config  *configs.Config
	record  *record
	sources map[string][]string // by replica, the others, the nearest first
	audit   *audit.Audit
	log     *slog.Logger

	// Static after New; nothing looks at them before run.
	fleet  func() *router.Fleet
	reach  func(replica string) transfer.Replica
	agreed *agreement // nil: this gateway knows no other
}

func newCopying(c *configs.Config, kept *record, moved *egress, reg prometheus.Registerer, log *slog.Logger) *copying {
	out := &copying{config: c, record: kept, sources: sourcesOf(c), log: log}
	out.Engine = replication.New(replication.Options{
		Ledger: book{kept}, Fleet: out.present, Reach: func(replica string) transfer.Replica { return out.reach(replica) },
		Concurrency: c.Replication.Concurrency, BytesPerSecond: c.Replication.Bandwidth, Moved: moved.replicated, Metrics: reg, Log: log,
		Surveyed: func(replica string) bool { return out.audit.Surveyed(replica) },
		Writes:   &transfer.Writes{}, Unheard: c.Cluster == nil,
		Current: func() bool { return kept.current() },
	})
	out.audit = newAudit(out, reg, log)
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "fairlead_replication_conflicts_total", Help: "Tags that were written on two sides of a cut; the later write holds.",
	}, func() float64 {
		_, total, _ := kept.ledger.Conflicts(0, 1)
		return float64(total)
	})
	kept.ledger.Subscribe(func(entries []ledger.Entry) { out.News(entries...) })
	kept.copied, kept.doubt = out.copied, out.doubt
	return out
}

// ownReach is how a gateway reaches replicas in its own name.
func ownReach(c *configs.Config, p *proxy.Proxy) func(replica string) transfer.Replica {
	reached := map[string]transfer.Replica{}
	for _, r := range c.Replicas {
		to := p.Reach(r.Name)
		if r.Credentials != "" {
			to.Transport = replication.Authorize(to.Transport, p.Direct(r.Name), r.Upstream, replication.DockerConfig(r.Credentials, r.Upstream.Host))
		}
		reached[r.Name] = to
	}
	return func(replica string) transfer.Replica { return reached[replica] }
}

// sourcesOf depends on the file alone.
func sourcesOf(c *configs.Config) map[string][]string {
	fleet, all := router.NewFleet(Replicas(c)), map[string][]string{}
	for _, r := range c.Replicas {
		for _, from := range fleet.OrderHere(r.Name) {
			if from.Name != r.Name {
				all[r.Name] = append(all[r.Name], from.Name)
			}
		}
	}
	return all
}

// present is the fleet as planning sees it now.
func (c *copying) present() replication.Fleet {
	var out replication.Fleet
	var names []string
	for _, r := range c.fleet().Replicas() {
		names = append(names, r.Name)
		out.Replicas = append(out.Replicas, replication.Replica{
			Name: r.Name, Up: r.Upstream.Up, Offline: r.Operator == router.Offline, Writable: r.Writable, Storage: r.Storage,
			Sources: c.sources[r.Name], LeftOut: func(repository string) bool { return c.leftOut(r.Name, repository) },
		})
	}
	out.Mine = replication.Assign(names, c.members(), c.record.member, cluster.Arbiter)
	return out
}

func (c *copying) leftOut(replica, repository string) bool {
	return slices.ContainsFunc(c.config.Replication.Filters, func(f configs.Filter) bool { return f.LeavesOut(replica, repository) })
}

func (c *copying) copied(replica, repository string) bool {
	return !c.leftOut(replica, repository) && slices.ContainsFunc(c.config.Replicas, func(r configs.Replica) bool {
		return r.Name == replica && r.Write && r.State != configs.StateOffline
	})
}

// ownWrites is what copies for a client's push share with ours.
func (c *copying) ownWrites() proxy.OwnWrites {
	return proxy.OwnWrites{
		Writes: c.Writes, Unheard: c.Unheard,
		Brought: func(what ledger.Reference, replica string) { c.Brought(replica, what) },
		Doubt:   func(what ledger.Reference, replica string) { c.Uncertain(replica, what) },
	}
}

// missed: a pull was answered 404 by a replica that is known to have it. Whether it has is looked at, and mended.
func (c *copying) missed(what ledger.Reference, replica string) {
	c.Missed(replica, what)
}

// doubt: it is looked at, and a blob that is live again is brought to all who lack it.
func (c *copying) doubt(e ledger.Entry, replica string) {
	if e.Blob && !e.Deleted {
		c.committed(e.Repository, e.Name, e.Replica)
	}
	c.Doubt(replica, e.Reference)
}

func (c *copying) members() []replication.Member {
	if c.agreed == nil {
		return []replication.Member{{Name: c.record.member, Here: c.config.Here}}
	}
	var all []replication.Member
	for _, m := range c.agreed.Members() {
		all = append(all, replication.Member{Name: m.Name, Here: m.Here})
	}
	return all
}

// committed tells whoever copies of a blob that a client has just pushed.
func (c *copying) committed(repository, digest, replica string) {
	b := replication.Blob{Repository: repository, Digest: digest, Replica: replica}
	c.Committed(b)
	if c.agreed == nil {
		return
	}
	if data, err := json.Marshal(b); err == nil {
		c.agreed.noteAll(noteBlob, data)
	}
}

// heard is what another gateway tells of a blob.
func (c *copying) heard(data []byte) {
	var b replication.Blob
	if json.Unmarshal(data, &b) == nil {
		c.Committed(b)
	}
}

// run begins when it is known who else is there and what is up: before that this gateway would serve every replica.
func (c *copying) run(ctx context.Context, probed <-chan struct{}) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		known := []<-chan struct{}{probed}
		if c.agreed != nil {
			known = append(known, c.agreed.Tried())
		}
		for _, k := range known {
			select {
			case <-k:
			case <-ctx.Done():
				return nil
			}
		}
		all.Go(func() error { c.audit.Run(ctx); return nil })
		c.Run(ctx)
		return nil
	})
	all.Go(func() error { every(ctx, lookEvery, func() { c.News() }); return nil })
	all.Go(func() error {
		every(ctx, compactEvery, func() {
			removed, err := c.record.ledger.Compact(retention)
			if err != nil {
				c.log.Warn("the record of pushes and deletions cannot be compacted", "error", err)
			}
			if removed > 0 {
				c.log.Info("deletions that all replicas have confirmed were forgotten", "count", removed)
			}
		})
		return nil
	})
	return all.Wait()
}
