package replication

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// copyBound is for one blob. A transfer that stalls ends earlier.
const copyBound = 6 * time.Hour

var errNoSource = errors.New("no replica that should have it does")

// blobs copies blobs, each once at a time to a replica: first for the push that committed it, then for the manifest
// that names it. Those who want the same blob wait for one copy.
type blobs struct {
	// Static after newBlobs.
	*Engine
	ctx  context.Context
	seen *lru.Cache[seenKey, string] // a repository of the replica that has the blob: it can be mounted from there

	mu    sync.Mutex
	jobs  map[blobKey]*blobJob     // Guarded by mu. As many as callers wait, and those whose callers went away.
	slots map[string]chan struct{} // Guarded by mu; by replica.
	all   sync.WaitGroup           // incremented under mu alone
}

type blobKey struct{ target, repository, digest string }

func (k blobKey) reference() ledger.Reference {
	return ledger.Reference{Repository: k.repository, Name: k.digest, Blob: true}
}

type seenKey struct{ replica, digest string }

// maxSeen is some 20 MB of memory.
const maxSeen = 65_536

type blobJob struct {
	done chan struct{} // closed when err is set
	err  error
}

func newBlobs(ctx context.Context, e *Engine) *blobs {
	seen, err := lru.New[seenKey, string](maxSeen)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &blobs{Engine: e, ctx: ctx, seen: seen, jobs: map[blobKey]*blobJob{}, slots: map[string]chan struct{}{}}
}

// ensure returns when the target has the blob, from the first of the sources that has it.
func (b *blobs) ensure(ctx context.Context, key blobKey, size int64, sources []string) error {
	for {
		j, joined := b.join(key, size, sources)
		select {
		case <-j.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if j.err == nil || !joined || b.ctx.Err() != nil {
			return j.err
		}
		// Who began it may have known fewer sources.
	}
}

// join returns the copy of the blob under way, or begins one.
func (b *blobs) join(key blobKey, size int64, sources []string) (j *blobJob, joined bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if j, ok := b.jobs[key]; ok {
		return j, true
	}
	if most := b.settings.Load().Concurrency; cap(b.slots[key.target]) != most { // what runs ends in the places it has
		b.slots[key.target] = make(chan struct{}, most)
	}
	slots := b.slots[key.target]
	j = &blobJob{done: make(chan struct{})}
	b.jobs[key] = j
	b.all.Go(func() {
		j.err = b.copyWhenFree(key, size, sources, slots)
		b.mu.Lock()
		if b.jobs[key] == j { // not of another registry that has come in its place
			delete(b.jobs, key)
		}
		b.mu.Unlock()
		close(j.done)
	})
	return j, false
}

// copyWhenFree copies a blob when there is room, unless the target has it by then.
func (b *blobs) copyWhenFree(key blobKey, size int64, sources []string, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
	defer func() { <-slots }()
	ctx, cancel := context.WithTimeout(b.ctx, copyBound)
	defer cancel()
	ctx, leave := b.during(ctx, key.target)
	defer leave()
	from := ""
	return b.guardedWrite(ctx, key.target, key.reference(), func(ctx context.Context) error {
		there, err := b.present(ctx, key, sources)
		if there || err != nil {
			return err
		}
		err = trySources(sources, key.target, func(source string) error {
			from = source
			return b.copyFrom(ctx, key, size, source)
		})
		b.metrics.blobs.WithLabelValues(result(err)).Inc()
		if err == nil {
			b.seen.Add(seenKey{key.target, key.digest}, key.repository)
		}
		return err
	}, b.sourceCheck(func(ctx context.Context) (bool, error) {
		if from == "" {
			return true, nil
		}
		return b.source(from, key.target).Repository(key.repository).HasBlob(ctx, key.digest)
	}))
}

// copyFrom asks once more before the blob is committed, which may be hours after it was begun.
func (b *blobs) copyFrom(ctx context.Context, key blobKey, size int64, from string) error {
	to := b.reach(key.target)
	to.Commits = func(context.Context) error { return b.checkNotDeleted(key.reference()) }
	return transfer.CopyBlob(ctx, b.source(from, key.target).Repository(key.repository), to.Repository(key.repository),
		key.digest, size)
}

// present reports whether the target has the blob, if need be mounted from another of its repositories. Mounting is
// done with the gateway's rights, so a source has to have the blob in this repository: a manifest may name any digest.
func (b *blobs) present(ctx context.Context, key blobKey, sources []string) (bool, error) {
	to, what := b.reach(key.target), seenKey{key.target, key.digest}
	there, err := to.Repository(key.repository).HasBlob(ctx, key.digest)
	if err != nil && !transfer.Refused(err) { // as in image.fetchManifest
		return false, err
	}
	from, known := b.seen.Get(what)
	if !there && known && from != key.repository && b.anySourceHas(ctx, key, sources) {
		there, _ = to.Repository(key.repository).Mount(ctx, key.digest, from) // a blob that is not mounted is copied
	}
	if there {
		b.seen.Add(what, key.repository)
	}
	return there, nil
}

func (b *blobs) anySourceHas(ctx context.Context, key blobKey, sources []string) bool {
	return slices.ContainsFunc(sources, func(from string) bool {
		has, err := b.source(from, key.target).Repository(key.repository).HasBlob(ctx, key.digest)
		return err == nil && has
	})
}

// trySources tries sources in turn, until one of them succeeds, the target fails, or the outcome is uncertain. That a
// source could not be asked weighs more than that others do not have it.
func trySources(sources []string, target string, try func(from string) error) error {
	failed := errNoSource
	for _, from := range sources {
		err := try(from)
		if err == nil || transfer.At(err) == target || transfer.At(err) == "" || transfer.Uncertain(err) {
			return err
		}
		if !transfer.Missing(err) {
			failed = err
		}
	}
	return failed
}
