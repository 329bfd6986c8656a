// Package audit compares what replicas have with what the ledger says, and repairs what differs. Content that did not
// come through a gateway is recorded, which is how a new replica is filled. What is missing, stale or was deleted is
// copied or deleted again.
package audit

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// isTag: digests have a colon, tags have none.
func isTag(name string) bool { return !strings.Contains(name, ":") }

// Ledger is what was pushed and deleted, as an audit sees it. Its calls are bounded in time.
type Ledger interface {
	Repositories(after string, limit int) ([]string, error)
	// List lists a repository's tags and manifests, tombstones among them, by name.
	List(repository, after string, limit int) ([]ledger.Entry, error)
	Get(ledger.Reference) (e ledger.Entry, known bool, err error)
	// Found records content that a replica was found to have, unless the name is recorded.
	Found(what ledger.Reference, c ledger.Content, replica string) error
	// PushOver records a push of now, if the tag's entry is still old.
	PushOver(old ledger.Entry, c ledger.Content, replica string) (done bool, err error)
	// Confirm changes nothing if the ledger has a later write than the entry.
	Confirm(e ledger.Entry, holder string) error
}

// Replica is a replica as an audit sees it.
type Replica struct {
	Name   string
	Holder string // which registry it is, for Confirm and Surveyed; "": the name
	Up     bool   // it can be asked now
	Served bool   // this gateway copies to it
	// this gateway, and no other, records what was there before any gateway
	Survey            bool
	SurveyedElsewhere bool // another gateway has done that
	// an audit that began after it is waited for, before the replica may leave; zero: none is
	Awaited time.Time
	LeftOut func(repository string) bool // a filter: those are neither copied nor looked at
}

// holder names the registry that the replica is.
func (r Replica) holder() string { return cmp.Or(r.Holder, r.Name) }

// Gateway is what an audit asks the gateway that runs it.
type Gateway interface {
	// Replicas are all but those that the operator took out. If replicas have a tag in different ways, and nothing of
	// it is recorded, the first one's is recorded.
	Replicas() []Replica
	// Reach is how to reach a replica, with a transport that logs in.
	Reach(replica string) transfer.Replica
	// Repair copies or deletes at a replica what an entry says, and returns when that is done.
	Repair(ctx context.Context, e ledger.Entry, replica string) error
	// Enqueue takes entries that were recorded just now: copying may begin.
	Enqueue(entries ...ledger.Entry)
}

// Options are what an audit works with.
type Options struct {
	Gateway    Gateway
	Ledger     Ledger
	Checkpoint *Checkpoint
	Metrics    prometheus.Registerer
	Log        *slog.Logger

	secondLookDelay time.Duration // before what differs is looked at again, since word of it may be under way; 0: 5 s
	retryDelay      time.Duration // before the second try of a request; 0: 1 s
}

// Bounds of an audit.
const (
	perSecond       = 100 // requests to one replica, by all audits of a gateway together
	inFlight        = 8   // requests at a time: a registry may have to hash a password for each
	maxRepositories = 100_000
	maxTags         = 65_536 // of one repository
	batchSize       = 8      // repositories at a time, and requests of each to one replica
	maxAttempts     = 3
)

// Audit looks at replicas now and then, and on demand.
type Audit struct {
	// Static after New.
	Options
	metrics *metrics

	mu       sync.Mutex
	paces    map[string]*pace // Guarded by mu; by replica.
	fleet    []string         // Guarded by mu; nil: all replicas are of it.
	latest   *report          // Guarded by mu; of the last audit on demand. Nil: there was none.
	lastID   int64            // Guarded by mu.
	requests chan *report     // holds one
}

// New makes an audit, which Run starts.
func New(o Options) *Audit {
	o.secondLookDelay = cmp.Or(o.secondLookDelay, 5*time.Second)
	o.retryDelay = cmp.Or(o.retryDelay, time.Second)
	return &Audit{
		Options: o, metrics: newMetrics(o.Metrics),
		paces: map[string]*pace{}, requests: make(chan *report, 1),
	}
}
