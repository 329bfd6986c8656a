package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// Bounds of healing.
const (
	maxCopies   = 16              // transfers at a time
	maxCopyJobs = 256             // under way or waiting for a transfer to end
	maxAsked    = 8               // descriptors asked about at a time, for one manifest
	copyBound   = time.Hour       // for one blob or manifest; a transfer that stalls ends earlier
	askBound    = 5 * time.Second // for one question
	ownerTries  = 3               // for one question to the owner
	askAgain    = 300 * time.Millisecond
)

// healer copies what a push has on one replica to the one that it belongs to. It reads only the repository that is
// pushed to, and writes only with the credential of the client that pushes.
type healer struct {
	// Static after newHealer.
	reach         func(replica, host string) transfer.Replica
	traffic       Traffic
	replication   Replication
	writes        *transfer.Writes
	unseenDeletes bool
	room          *room
	known         func(ledger.Reference) (ledger.Entry, bool)
	looks         *looks
	metrics       *metrics
	log           *slog.Logger
	ctx           context.Context
	cancel        context.CancelFunc
	slots         chan struct{}

	mu   sync.Mutex
	jobs map[jobKey]*job // Guarded by mu. At most maxCopyJobs.
	all  sync.WaitGroup  // incremented under mu only
}

// pushing is the push that is healed.
type pushing struct {
	repository string
	owner      string                         // where its manifest goes
	others     []string                       // all other replicas, in the order in which they are to be copied from
	host       string                         // that the client asked
	gone       func(manifest.Descriptor) bool // it was deleted: nobody else's counts
	kept       func(digest string) []byte     // what this gateway has of the push; nil: nothing
	credential http.Header
	trace      http.Header // nil: it belongs to none
}

// at is the repository of a replica, asked with the right of the client and as a part of its trace.
func (p pushing) at(replica transfer.Replica) transfer.Repository {
	return transfer.Repository{Replica: traced(replica, p.trace), Name: p.repository, Credential: p.credential}
}

func newHealer(p *Proxy) *healer {
	ctx, cancel := context.WithCancel(context.Background())
	return &healer{
		reach: p.Upstreams.ReachAs, traffic: p.Traffic,
		replication: p.Replication, writes: p.Writes, unseenDeletes: p.UnseenDeletes,
		room: p.room, known: p.Ledger.Known, looks: p.looks, metrics: p.metrics, log: p.Log,
		ctx: ctx, cancel: cancel, slots: make(chan struct{}, maxCopies), jobs: map[jobKey]*job{},
	}
}

// close ends all copies and waits for them.
func (h *healer) close() {
	h.mu.Lock()
	h.cancel()
	h.mu.Unlock()
	h.all.Wait()
}

// Why a manifest cannot be committed now.
var (
	errHealing = errors.New("parts of this push are still being copied to the replica that it goes to")
	errUnsaid  = errors.New("the replica that this push goes to does not say what it has")
	errBusy    = errors.New("too much is being copied at once")
)

// missingBlobError is a blob, or a manifest of an index, that the owner lacks and that cannot be copied there.
type missingBlobError struct {
	digest string
	owner  string
	asked  []string
	why    error // nil: nobody has it
}

func (e *missingBlobError) Error() string {
	if e.why == nil {
		return fmt.Sprintf("%s is on no replica: push it again", e.digest)
	}
	return fmt.Sprintf("%s is not on %s and cannot be copied there: %v", e.digest, e.owner, e.why)
}

// complete sees to it that the owner has all that a manifest needs, until ctx ends: then copying goes on, and the error
// is errHealing. What is known to be there is not asked, and what turns out to be is remembered.
func (h *healer) complete(
	ctx context.Context, p pushing, needs []manifest.Descriptor, known knownContent, nesting int,
) error {
	if nesting > manifest.MaxNesting {
		return fmt.Errorf("more than %d indexes in each other", manifest.MaxNesting)
	}
	var group errgroup.Group
	group.SetLimit(maxAsked)
	errs := make([]error, len(needs))
	for i, need := range needs {
		if known.has(need) {
			continue
		}
		group.Go(func() error {
			there, err := h.ensure(ctx, p, need, nesting)
			if there {
				known.add(need.Digest)
			}
			errs[i] = err
			return nil
		})
	}
	_ = group.Wait()
	return worst(errs)
}

// worst is the error that counts: what makes waiting useless comes before what is worth waiting for.
func worst(errs []error) error {
	var found error
	for _, err := range errs {
		if err != nil && (found == nil || errors.Is(found, errHealing) || errors.Is(found, errUnsaid)) {
			found = err
		}
	}
	return found
}

// ensure reports whether the owner has what a descriptor names for certain. Without an error its manifest may be put
// all the same.
func (h *healer) ensure(ctx context.Context, p pushing, need manifest.Descriptor, nesting int) (there bool, err error) {
	at, err := h.askOwner(ctx, p, need)
	if err != nil || at != router.Lacks {
		return at == router.Has, err
	}
	gone, damagedAt := p.gone(need), h.looks.damagedAt(need.Digest, time.Now())
	others := make([]router.Holder, len(p.others))
	var group sync.WaitGroup
	for i, name := range p.others {
		if gone || slices.Contains(damagedAt, name) { // what is damaged there cannot be copied
			others[i] = router.Holder{Replica: name, Presence: router.Lacks}
			continue
		}
		group.Go(func() {
			at, _ := h.ask(ctx, p, name, need) // trouble says nothing
			others[i] = router.Holder{Replica: name, Presence: at}
		})
	}
	group.Wait()
	switch repair := router.PlanRepair(at, others, need.Optional); {
	case repair.From != "":
		err := h.copied(ctx, p, need, repair.From, nesting)
		return err == nil, err
	case slices.ContainsFunc(others, router.Holder.MayHave) && p.hasKept(need):
		err := h.copied(ctx, p, need, ownCache, nesting)
		return err == nil, err
	case repair.Unsure:
		return false, &missingBlobError{need.Digest, p.owner, p.others,
			errors.New("a replica that may have it does not answer")}
	case repair.Missing:
		return false, &missingBlobError{need.Digest, p.owner, p.others, nil}
	}
	return false, nil
}

// askOwner asks again after trouble, which is no refusal to say.
func (h *healer) askOwner(ctx context.Context, p pushing, need manifest.Descriptor) (router.Presence, error) {
	for try := 1; ; try++ {
		at, err := h.ask(ctx, p, p.owner, need)
		switch {
		case ctx.Err() != nil:
			return router.Unknown, errHealing
		case !transfer.Passing(err):
			return at, nil
		case try == ownerTries:
			return router.Unknown, fmt.Errorf("%w: %w", errUnsaid, err)
		}
		timer := time.NewTimer(askAgain)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (h *healer) ask(ctx context.Context, p pushing, replica string, need manifest.Descriptor) (router.Presence,
	error) {
	bounded, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	has := transfer.Repository.HasBlob
	if need.Manifest {
		has = transfer.Repository.HasManifest
	}
	switch there, err := has(p.at(h.reach(replica, p.host)), bounded, need.Digest); {
	case err != nil:
		return router.Unknown, err
	case there:
		return router.Has, nil
	}
	return router.Lacks, nil
}

// knownContent is what a push knows to be at its owner.
type knownContent struct {
	has func(manifest.Descriptor) bool
	add func(digest string)
}

var nothingKnown = knownContent{func(manifest.Descriptor) bool { return false }, func(string) {}}

// credentialOf is what a client shows to be allowed to push.
func credentialOf(r *http.Request) http.Header {
	out := http.Header{}
	if v := r.Header.Get("Authorization"); v != "" {
		out.Set("Authorization", strings.Clone(v))
	}
	return out
}
