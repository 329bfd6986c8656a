package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
	maxAsked    = 8               // parts asked about at a time, for one manifest
	copyBound   = time.Hour       // for one part; a transfer that stalls ends earlier
	askBound    = 5 * time.Second // for one question
	ownerTries  = 3               // for one question to the owner
	askAgain    = 300 * time.Millisecond
)

// healer copies what a push has on one replica to the one that it belongs to. It reads only the repository that is
// pushed to, and writes only with the credential of the client that pushes.
type healer struct {
	// Static after newHealer.
	reach   func(replica, host string) transfer.Replica
	moved   func(source, target string, bytes int)
	own     OwnWrites
	room    *room
	known   func(ledger.Reference) (ledger.Entry, bool)
	metrics *metrics
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	slots   chan struct{}

	mu   sync.Mutex
	jobs map[jobKey]*job // Guarded by mu. At most maxCopyJobs.
	all  sync.WaitGroup  // incremented under mu only
}

// jobKey: one copy of one part to one replica at a time, whoever wants it.
type jobKey struct{ repository, digest, owner string }

type job struct {
	done chan struct{} // closed when err is there
	err  error
}

// pushing is the push that is healed.
type pushing struct {
	repository string
	owner      string                         // where its manifest goes
	others     []string                       // all other replicas, in the order in which they are to be copied from
	host       string                         // that the client asked
	gone       func(manifest.Descriptor) bool // a part was deleted: nobody else's counts
	credential http.Header
}

// at is the repository of a replica, asked with the right of the client.
func (p pushing) at(replica transfer.Replica) transfer.Repository {
	return transfer.Repository{Replica: replica, Name: p.repository, Credential: p.credential}
}

func newHealer(p *Proxy) *healer {
	ctx, cancel := context.WithCancel(context.Background())
	return &healer{
		reach: p.Upstreams.ReachAs, moved: p.healed, own: p.OwnWrites, room: p.room, known: p.Ledger.Known, metrics: p.metrics,
		log: p.Log,
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

// holeError is a part that the owner lacks and that cannot be copied there.
type holeError struct {
	digest string
	owner  string
	asked  []string
	why    error // nil: nobody has it
}

func (e *holeError) Error() string {
	if e.why == nil {
		return fmt.Sprintf("%s is on no replica: push it again", e.digest)
	}
	return fmt.Sprintf("%s is not on %s and cannot be copied there: %v", e.digest, e.owner, e.why)
}

// whole sees to it that the owner has all that a manifest needs, until ctx ends: then copying goes on, and the error is
// errHealing. What is known to be there is not asked, and what turns out to be is remembered.
func (h *healer) whole(ctx context.Context, p pushing, needs []manifest.Descriptor, memory memory, nesting int) error {
	if nesting > manifest.MaxNesting {
		return fmt.Errorf("more than %d indexes in each other", manifest.MaxNesting)
	}
	var group errgroup.Group
	group.SetLimit(maxAsked)
	errs := make([]error, len(needs))
	for i, need := range needs {
		if memory.has(need) {
			continue
		}
		group.Go(func() error {
			there, err := h.part(ctx, p, need, nesting)
			if there {
				memory.add(need.Digest)
			}
			errs[i] = err
			return nil
		})
	}
	_ = group.Wait()
	return worst(errs)
}

// worst: what makes waiting useless comes before what is worth waiting for.
func worst(errs []error) error {
	var found error
	for _, err := range errs {
		if err != nil && (found == nil || errors.Is(found, errHealing) || errors.Is(found, errUnsaid)) {
			found = err
		}
	}
	return found
}

// part reports whether the owner has the part for certain. Without an error its manifest may be put all the same.
func (h *healer) part(ctx context.Context, p pushing, need manifest.Descriptor, nesting int) (there bool, err error) {
	at, err := h.askOwner(ctx, p, need)
	if err != nil || at != router.Lacks {
		return at == router.Has, err
	}
	gone := p.gone(need)
	others := make([]router.Holder, len(p.others))
	var group sync.WaitGroup
	for i, name := range p.others {
		if gone {
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
	case repair.Unsure:
		return false, &holeError{need.Digest, p.owner, p.others, errors.New("a replica that may have it does not answer")}
	case repair.Missing:
		return false, &holeError{need.Digest, p.owner, p.others, nil}
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

func (h *healer) ask(ctx context.Context, p pushing, replica string, need manifest.Descriptor) (router.Presence, error) {
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

// copied returns when the part is on the owner, or ctx has ended.
func (h *healer) copied(ctx context.Context, p pushing, need manifest.Descriptor, from string, nesting int) error {
	j, joined, err := h.begin(p, need, from, nesting)
	if err != nil {
		return err
	}
	select {
	case <-j.done:
		if joined && transfer.Refused(j.err) { // somebody else was
			return h.copied(ctx, p, need, from, nesting)
		}
		if errors.Is(j.err, errDeleted) {
			return &holeError{need.Digest, p.owner, p.others, nil}
		}
		if j.err != nil && !errors.Is(j.err, errHealing) {
			return &holeError{need.Digest, p.owner, p.others, j.err}
		}
		return j.err
	case <-ctx.Done():
		return errHealing
	}
}

// begin starts the copy of a part, or joins the one that is under way.
func (h *healer) begin(p pushing, need manifest.Descriptor, from string, nesting int) (j *job, joined bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := jobKey{p.repository, need.Digest, p.owner}
	if j, ok := h.jobs[key]; ok {
		return j, true, nil
	}
	if h.ctx.Err() != nil || len(h.jobs) == maxCopyJobs {
		return nil, false, errBusy
	}
	j = &job{done: make(chan struct{})}
	h.jobs[key] = j
	h.all.Go(func() {
		ctx, cancel := context.WithTimeout(h.ctx, copyBound)
		defer cancel()
		j.err = h.copy(ctx, p, need, from, nesting)
		h.metrics.healed(j.err)
		h.mu.Lock()
		delete(h.jobs, key)
		h.mu.Unlock()
		close(j.done)
	})
	return j, false, nil
}

func (h *healer) copy(ctx context.Context, p pushing, need manifest.Descriptor, from string, nesting int) error {
	source, target := h.reach(from, p.host).Counted(func(n int) { h.moved(from, p.owner, n) }), h.reach(p.owner, p.host)
	w := own{h, p, need, from}
	if !need.Manifest {
		select {
		case h.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-h.slots }()
		target.Commits = func(context.Context) error {
			if p.gone(need) {
				return errDeleted
			}
			return nil
		}
		return w.write(ctx, func(ctx context.Context) error {
			return transfer.CopyBlob(ctx, p.at(source), p.at(target), need.Digest, need.Size)
		})
	}
	if need.Size > 0 && need.Size < source.MaxManifest {
		source.MaxManifest = need.Size // what is larger than its descriptor says is of use to no client
	}
	done, err := h.room.reserve(ctx, 2*source.MaxManifest)
	if err != nil {
		return err
	}
	defer done()
	mediaType, body, err := p.at(source).Manifest(ctx, need.Digest)
	if err != nil {
		return err
	}
	needs, err := manifest.Needs(body)
	if err != nil {
		return err
	}
	if err := h.whole(ctx, p, needs, noMemory, nesting+1); err != nil {
		return err
	}
	return w.write(ctx, func(context.Context) error { // not cut short, which would leave it open whether it is there
		return p.at(target).PutManifest(ctx, need.Digest, mediaType, body)
	})
}

// memory is what a push knows to be at its owner.
type memory struct {
	has func(manifest.Descriptor) bool
	add func(digest string)
}

var noMemory = memory{func(manifest.Descriptor) bool { return false }, func(string) {}}

// credentialOf is what a client shows to be allowed to push.
func credentialOf(r *http.Request) http.Header {
	out := http.Header{}
	if v := r.Header.Get("Authorization"); v != "" {
		out.Set("Authorization", strings.Clone(v))
	}
	return out
}
