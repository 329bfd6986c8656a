// Package audit compares what replicas have with what the ledger says, and has repaired what differs: content that did not come
// through us is found and recorded, which is how a new replica is filled; and what is missing, old or was deleted is put right.
package audit

import (
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

// Ledger is the record of what was pushed and deleted. Its calls are bounded in time.
type Ledger interface {
	Repositories(after string, limit int) ([]string, error)
	// List lists a repository's tags and manifests, tombstones among them, by name.
	List(repository, after string, limit int) ([]ledger.Entry, error)
	Get(ledger.Reference) (e ledger.Entry, known bool, err error)
	// Found records what a replica was found to have, as far as nothing is known of it.
	Found(what ledger.Reference, c ledger.Content, replica string) error
	// PushOver records a push of now, if what is known of the tag is still old.
	PushOver(old ledger.Entry, c ledger.Content, replica string) (done bool, err error)
	// Confirm changes nothing if something newer than the entry is known.
	Confirm(e ledger.Entry, replica string) error
}

// Replica is one as an audit sees it.
type Replica struct {
	Name    string
	Up      bool                         // it can be asked now
	Mine    bool                         // this gateway brings it what it lacks
	Survey  bool                         // this gateway, and no other, finds out what was there before anybody recorded it
	Seen    bool                         // another gateway has found that out
	LeftOut func(repository string) bool // nobody brings those there, and nobody looks at them
}

// Options are what an audit works with.
type Options struct {
	Ledger Ledger
	// Fleet is all replicas but those that the operator took out. Of a tag that they have in different ways, and of which
	// nothing is recorded, the first one's is taken.
	Fleet  func() []Replica
	Reach  func(replica string) transfer.Replica // with a transport that logs in
	Repair func(ctx context.Context, e ledger.Entry, replica string) error
	// Recorded is told of entries that were found: who copies may begin.
	Recorded   func([]ledger.Entry)
	Checkpoint *Checkpoint
	Metrics    prometheus.Registerer
	Log        *slog.Logger
}

// Bounds of an audit.
const (
	perSecond       = 100 // requests to one replica, by all audits of a gateway together
	inFlight        = 8   // the same, at a time: a registry may have to hash a password for each
	maxRepositories = 100_000
	maxTags         = 65_536 // of one repository
	together        = 8      // repositories at a time, and requests of each to one replica
	tries           = 3
)

// Audit looks at replicas now and then, and when somebody asks for it.
type Audit struct {
	// Static after New.
	Options
	metrics *metrics
	grace   time.Duration // how long something has to differ: word of it may be under way
	pause   time.Duration // before the second try of a request

	mu       sync.Mutex
	limits   map[string]*limit // Guarded by mu; by replica.
	asked    *Report           // Guarded by mu; the last one that somebody asked for. Nil: none.
	lastID   int64             // Guarded by mu.
	requests chan *Report      // holds one
}

// New makes an audit, which Run starts.
func New(o Options) *Audit {
	return &Audit{
		Options: o, metrics: newMetrics(o.Metrics), grace: 5 * time.Second, pause: time.Second,
		limits: map[string]*limit{}, requests: make(chan *Report, 1),
	}
}
