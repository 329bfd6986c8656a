package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

const maxParallel = 8 // manifests, and blobs, at a time, for one task

// image copies manifests of one repository to one replica, each after all that it names. Each is copied once, though
// nested indexes may name it many times.
type image struct {
	// Static after newImage.
	*Engine
	blobs         *blobs
	target        string
	sources       []string
	repository    string
	manifestSlots chan struct{} // one for each manifest that has a goroutine of its own
	blobSlots     chan struct{} // one for each blob that is copied

	copied manifest.Once[content]

	mu           sync.Mutex
	presentBlobs map[string]bool // Guarded by mu; blobs that the target has, by digest.
}

func (e *Engine) newImage(b *blobs, t Task) *image {
	return &image{
		Engine: e, blobs: b, target: t.Target, sources: t.Sources, repository: t.Repository,
		manifestSlots: make(chan struct{}, maxParallel), blobSlots: make(chan struct{}, maxParallel),
		presentBlobs: map[string]bool{},
	}
}

// content is a manifest as it is stored.
type content struct {
	mediaType string
	body      []byte
	from      string // the source that it came from; "" where the target has it
}

// ensure returns when the target has the manifest and all that it names. The context is the task's: others may wait for
// the same manifest. There is no deadlock, since no manifest can name itself.
func (i *image) ensure(ctx context.Context, digest string, nesting int) (content, error) {
	if nesting > manifest.MaxNesting {
		return content{}, fmt.Errorf("more than %d manifests in each other", manifest.MaxNesting)
	}
	return i.copied.Do(ctx, digest, func() (content, error) { return i.copyManifest(ctx, digest, nesting) })
}

// copyManifest ensures all that a manifest names, then puts it. It looks for the blobs even if the target has the
// manifest, since some registries take a manifest without its layers.
func (i *image) copyManifest(ctx context.Context, digest string, nesting int) (content, error) {
	c, has, err := i.fetchManifest(ctx, digest)
	if err != nil {
		return content{}, err
	}
	said, _, err := i.Ledger.Get(ledger.Reference{Repository: i.repository, Name: digest})
	if err != nil {
		return content{}, err
	}
	c.mediaType = transfer.ManifestType(c.body, said.MediaType, c.mediaType)
	needs, err := manifest.Needs(c.body)
	if err != nil {
		return content{}, err
	}
	if err := i.copyNeeds(ctx, needs, nesting); err != nil {
		return content{}, err
	}
	if has != complete {
		err = i.putManifest(ctx, digest, c)
	}
	if err == nil && has == damaged { // the target may keep what it has
		_, _, err = i.reach(i.target).Repository(i.repository).Manifest(ctx, digest)
	}
	return c, err
}

// copyNeeds copies what a manifest names, some at a time. An optional child that no source has is left out.
func (i *image) copyNeeds(ctx context.Context, needs []manifest.Descriptor, nesting int) error {
	group, failed := errgroup.WithContext(ctx)
	for _, need := range needs {
		do := func() error {
			err := i.copyDescriptor(ctx, failed, need, nesting)
			if need.Optional && errors.Is(err, errNoSource) {
				return nil
			}
			return err
		}
		if leave, ok := i.acquire(failed, need, nesting); ok {
			group.Go(func() error { defer leave(); return do() })
		} else {
			err := do()
			group.Go(func() error { return err })
		}
		if failed.Err() != nil {
			break
		}
	}
	return group.Wait()
}

// putManifest ignores that a deletion of the manifest begins: a write that breaks off may have succeeded or not, and
// this one is short.
func (i *image) putManifest(ctx context.Context, digest string, c content) error {
	what := ledger.Reference{Repository: i.repository, Name: digest}
	return i.guardedWrite(ctx, i.target, what, func(context.Context) error {
		return i.reach(i.target).Repository(i.repository).PutManifest(ctx, digest, c.mediaType, c.body)
	}, i.sourceCheck(func(ctx context.Context) (bool, error) {
		return i.source(c.from, i.target).Repository(i.repository).HasManifest(ctx, digest)
	}))
}

// acquire waits for a slot of a blob, or of a manifest. Within another manifest it does not wait for that of a
// manifest: all that have one could be waiting. ok is false if there is none, or the context has ended.
func (i *image) acquire(ctx context.Context, need manifest.Descriptor, nesting int) (leave func(), ok bool) {
	room := i.blobSlots
	if need.Manifest {
		room = i.manifestSlots
	}
	leave = func() { <-room }
	if need.Manifest && nesting > 0 {
		select {
		case room <- struct{}{}:
			return leave, true
		default:
			return nil, false
		}
	}
	select {
	case room <- struct{}{}:
		return leave, true
	case <-ctx.Done():
		return nil, false
	}
}

// copyDescriptor copies one blob or manifest. ctx is the task's, since others may wait for the same manifest;
// unlessFailed ends when another of the manifest's descriptors has failed.
func (i *image) copyDescriptor(ctx, unlessFailed context.Context, need manifest.Descriptor, nesting int) error {
	what := ledger.Reference{Repository: i.repository, Name: need.Digest, Blob: !need.Manifest}
	if err := i.checkNotDeleted(what); err != nil {
		return err
	}
	if unlessFailed.Err() != nil {
		return context.Cause(unlessFailed)
	}
	if need.Manifest {
		_, err := i.ensure(ctx, need.Digest, nesting+1)
		return err
	}
	return i.ensureBlob(unlessFailed, need.Digest, need.Size)
}

// ensureBlob copies a blob once. The size is the manifest's, 0 if that is not known.
func (i *image) ensureBlob(ctx context.Context, digest string, size int64) error {
	i.mu.Lock()
	there := i.presentBlobs[digest]
	i.mu.Unlock()
	if there {
		return nil
	}
	if err := i.blobs.ensure(ctx, blobKey{i.target, i.repository, digest}, size, i.sources); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.presentBlobs[digest] = true
	return nil
}

// presence is how much of a manifest a target has.
type presence int

// The closed set of presences.
const (
	absent presence = iota
	damaged
	complete
)

// fetchManifest reads a manifest from the target, or else from a source. Some registries answer 401 or 403 for a
// repository that is not there yet: whether the gateway may write there, the write will tell.
func (i *image) fetchManifest(ctx context.Context, digest string) (c content, has presence, err error) {
	get := func(from transfer.Replica) (err error) {
		c.mediaType, c.body, err = from.Repository(i.repository).Manifest(ctx, digest)
		return err
	}
	switch err := get(i.reach(i.target)); {
	case err == nil:
		return c, complete, nil
	case transfer.Damaged(err):
		has = damaged
	case !transfer.Missing(err) && !transfer.Refused(err):
		return c, absent, err
	}
	return c, has, trySources(i.sources, i.target, func(from string) error {
		c.from = from
		return get(i.source(from, i.target))
	})
}
