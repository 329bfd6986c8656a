package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// Tombstones that all replicas have confirmed are kept for retention: a gateway that was away for longer has to begin
// with an empty `state`, or it may bring back what was deleted.
const (
	retention    = 30 * 24 * time.Hour
	compactEvery = time.Hour
)

// lookEvery is how often the engine looks whether the fleet has changed: copies to a replica begin soon after it is up
// again.
const lookEvery = time.Second

// copying copies what was pushed to one replica to the others.
type copying struct {
	// Static after newCopying.
	*replication.Engine
	audit      *audit.Audit
	ledger     ledger.Current
	checkpoint *audit.Checkpoint // of audits
	config     func() *configs.Config
	member     string     // this gateway's name
	agreed     *agreement // nil: this gateway knows no other
	fleet      func() *router.Fleet
	upstreams  *upstream.Transports
	leaveBegan func(replica string) time.Time
	log        *slog.Logger
	emptied    *emptied

	ways atomic.Pointer[ways] // never nil
}

// ways are how this gateway reaches replicas in its own name, and in which order. They are replaced as a whole.
type ways struct {
	reach   map[string]transfer.Replica
	sources map[string][]string // by replica, the others, the nearest first
}

func (c *copying) waysOf(file *configs.Config) *ways {
	return &ways{ownReach(file, c.upstreams), sourcesOf(file)}
}

// copyingParts are what copying works with.
type copyingParts struct {
	ledger     ledger.Current
	checkpoint *audit.Checkpoint // of audits
	agreed     *agreement        // nil: this gateway knows no other
	fleet      func() *router.Fleet
	upstreams  *upstream.Transports
	leaveBegan func(replica string) time.Time // when a replica that leaves began to
	egress     *upstream.Egress
}

func newCopying(config func() *configs.Config, with copyingParts, reg prometheus.Registerer,
	log *slog.Logger) *copying {
	c := config()
	out := &copying{
		ledger: with.ledger, checkpoint: with.checkpoint, config: config, member: member(c), agreed: with.agreed,
		fleet: with.fleet, upstreams: with.upstreams, leaveBegan: with.leaveBegan, log: log,
	}
	out.ways.Store(out.waysOf(c))
	out.emptied = newEmptied(out)
	out.Engine = replication.New(replication.Options{
		Gateway: out, Ledger: with.ledger, Writes: &transfer.Writes{}, UnseenDeletes: c.Cluster == nil,
		Settings: copyingSettings(c), Moved: with.egress.Replicated,
		Metrics: reg, Log: log,
	})
	out.audit = audit.New(audit.Options{
		Gateway: out, Ledger: with.ledger, Checkpoint: with.checkpoint, Metrics: reg, Log: log,
	})
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "fairlead_replication_conflicts_total",
		Help: "Tags that were written on two sides of a cut; the later write holds.",
	}, func() float64 {
		_, total, _ := with.ledger.Conflicts(0, 1)
		return float64(total)
	})
	with.ledger.Subscribe(out.changed)
	if out.agreed != nil {
		out.agreed.HandleNotes(noteBlob, out.hear)
	}
	return out
}

// changed has what was just recorded copied.
func (c *copying) changed(change ledger.Change) {
	if e := change.Entries[0]; c.rechecks(change) {
		c.Verify(e, e.Replica)
	}
	c.Enqueue(change.Entries...)
}

// rechecks reports whether a replica is asked afterwards if it is rid of what a client deleted here. Some registries
// accept a deletion, and go on giving out what they have cached; and a client may go away before it has deleted a
// stand-in, which is under the tag until then.
func (c *copying) rechecks(change ledger.Change) bool {
	e := change.Entries[0]
	return change.Here && e.Deleted && c.Copies(e.Replica, e.Repository)
}

// Reach is how to reach a replica in this gateway's own name.
func (c *copying) Reach(replica string) transfer.Replica {
	to, known := c.ways.Load().reach[replica]
	if !known {
		to = transfer.Replica{Name: replica, Transport: noWay{}, URL: &url.URL{Scheme: "http", Host: replica}}
	}
	return to
}

// noWay is to a replica that the file has no more.
type noWay struct{}

var errNotInFile = errors.New("the file has the replica no more")

func (noWay) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close() // as all transports do
	}
	return nil, errNotInFile
}

// Current reports whether the ledger can be written and knows what other gateways know.
func (c *copying) Current() bool { return c.ledger.IsCurrent() }

// Surveyed reports whether the ledger has what was on the replica before there was a ledger.
func (c *copying) Surveyed(replica string) bool {
	now := replication.Replica{Name: replica, Up: true}
	if r := c.fleet().Replica(replica); r != nil {
		now.Up = r.Upstream.Up
	}
	return c.checkpoint.Surveyed(c.ledger.Holder(replica)) && c.ledger.Indexed(replica) && c.emptied.trusts(now)
}

// Fleet is the fleet as planning sees it now.
func (c *copying) Fleet() replication.Fleet {
	var out replication.Fleet
	var names []string
	sources := c.ways.Load().sources
	for _, r := range c.fleet().Replicas() {
		names = append(names, r.Name)
		out.Replicas = append(out.Replicas, replication.Replica{
			Name: r.Name, Up: r.Upstream.Up, Offline: r.Operator == router.Offline, Writable: r.Writable,
			Leaving: r.Operator == router.Leaving, Storage: r.Storage, Holder: c.ledger.Holder(r.Name),
			Sources: sources[r.Name], LeftOut: func(repository string) bool { return c.leftOut(r.Name, repository) },
		})
	}
	out.Assigned = replication.Assign(names, c.members(), c.member, cluster.Arbiter)
	return out
}

func (c *copying) leftOut(replica, repository string) bool {
	return slices.ContainsFunc(c.config().Replication.Filters,
		func(f configs.Filter) bool { return f.LeavesOut(replica, repository) })
}

// Copies reports whether what is pushed to others comes to a replica.
func (c *copying) Copies(replica, repository string) bool {
	return !c.leftOut(replica, repository) && slices.ContainsFunc(c.config().Replicas, func(r configs.Replica) bool {
		return r.Name == replica && takesCopies(r)
	})
}

// clientWrites is what the engine is told of what clients push and pull.
type clientWrites struct{ *copying }

// Committed tells whoever copies of a blob that a client has just pushed.
func (c clientWrites) Committed(repository, digest, replica string) {
	c.committed(repository, digest, replica)
}

// Missed has it looked at whether a replica has what it answered 404 to, and repaired.
func (c clientWrites) Missed(what ledger.Reference, replica string) {
	c.RecheckMissing(replica, what)
	c.emptied.suspect(replica)
}

// Brought remembers a copy for a client's push as one of this gateway's own writes.
func (c clientWrites) Brought(what ledger.Reference, replica string) { c.RememberWrite(replica, what) }

// Recheck has a replica asked, now and for a while, about a copy that broke off, and may yet be committed.
func (c clientWrites) Recheck(what ledger.Reference, replica string) {
	c.RecheckRepeatedly(replica, what)
}

// Verify has a replica asked whether it has what an entry says. A blob that is live again is brought to all who lack
// it.
func (c *copying) Verify(e ledger.Entry, replica string) {
	if e.Blob && !e.Deleted {
		c.committed(e.Repository, e.Name, e.Replica)
	}
	c.Recheck(replica, e.Reference)
}

func (c *copying) members() []replication.Member {
	if c.agreed == nil {
		return []replication.Member{{Name: c.member, Here: c.config().Here}}
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
		c.agreed.NoteAll(noteBlob, data)
	}
}

// hear takes what another gateway tells of a blob.
func (c *copying) hear(_ string, data []byte) {
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
	all.Go(func() error { every(ctx, lookEvery, c.Wake); return nil })
	all.Go(func() error { every(ctx, lookEvery, func() { c.emptied.look(ctx) }); return nil })
	all.Go(func() error {
		every(ctx, compactEvery, func() {
			removed, err := c.ledger.Compact(retention)
			if err != nil {
				c.log.Warn("the ledger cannot be compacted; it is tried again in an hour", "error", err)
			}
			if removed > 0 {
				c.log.Info("deletions that all replicas have confirmed were forgotten", "count", removed)
			}
		})
		return nil
	})
	return all.Wait()
}
