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

const maxParts = 8 // manifests, and blobs, looked after at a time, for one task

var errLater = errors.New("a referrer cannot be had")

// image brings manifests of one repository to one replica, each after all that it names, and each once: of indexes in an
// index there are many ways to one manifest.
type image struct {
	// Static after newImage.
	*Engine
	blobs      *blobs
	target     string
	sources    []string
	repository string
	manifests  chan struct{} // one for each manifest that has a goroutine of its own
	parts      chan struct{} // one for each blob that is brought

	brought manifest.Once[content]

	mu    sync.Mutex
	whole map[string]bool // Guarded by mu; blobs that the target has, by digest.
}

func (e *Engine) newImage(b *blobs, t Task) *image {
	return &image{
		Engine: e, blobs: b, target: t.Target, sources: t.Sources, repository: t.Repository,
		manifests: make(chan struct{}, maxParts), parts: make(chan struct{}, maxParts), whole: map[string]bool{},
	}
}

// content is a manifest as it is stored.
type content struct {
	mediaType string
	body      []byte
	from      string // the source that it came from; "" where the target has it
}

// bring returns when the target has the manifest and all that it names. The context is the task's: others may wait for the
// same manifest.
func (i *image) bring(ctx context.Context, digest string, nesting int) (content, error) {
	if nesting > manifest.MaxNesting {
		return content{}, fmt.Errorf("more than %d manifests in each other", manifest.MaxNesting)
	}
	return i.brought.Do(ctx, digest, func() (content, error) { return i.all(ctx, digest, nesting) })
}

// all looks at the parts also where the manifest is there: registries are not obliged to, and some take a manifest without
// its layers.
func (i *image) all(ctx context.Context, digest string, nesting int) (content, error) {
	c, has, err := i.manifest(ctx, digest)
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
	group, failed := errgroup.WithContext(ctx)
	for _, need := range needs {
		do := func() error {
			err := i.part(ctx, failed, need, nesting)
			if need.Optional && errors.Is(err, errNowhere) {
				return nil
			}
			return err
		}
		if leave, ok := i.enter(failed, need, nesting); ok {
			group.Go(func() error { defer leave(); return do() })
		} else {
			err := do()
			group.Go(func() error { return err })
		}
		if failed.Err() != nil {
			break
		}
	}
	if err := group.Wait(); err != nil {
		return content{}, err
	}
	if has != whole {
		err = i.put(ctx, digest, c)
	}
	if err == nil && has == damaged { // it may keep what it has
		_, _, err = i.reach(i.target).Repository(i.repository).Manifest(ctx, digest)
	}
	return c, err
}

// put is not cut short: that takes no time, and would leave it open whether it is there.
func (i *image) put(ctx context.Context, digest string, c content) error {
	return i.inOwnName(ctx, i.target, ledger.Reference{Repository: i.repository, Name: digest}, func(context.Context) error {
		return i.reach(i.target).Repository(i.repository).PutManifest(ctx, digest, c.mediaType, c.body)
	}, i.unheard(func(ctx context.Context) (bool, error) {
		return i.source(c.from, i.target).Repository(i.repository).HasManifest(ctx, digest)
	}))
}

// enter waits for room, but within another manifest not for that of a manifest: all who have it could wait. There is none,
// then, or the context has ended.
func (i *image) enter(ctx context.Context, need manifest.Descriptor, nesting int) (leave func(), ok bool) {
	room := i.parts
	if need.Manifest {
		room = i.manifests
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

// part is given the task's context, for what others may wait for, and one that ends when the rest is in vain.
func (i *image) part(ctx, unlessFailed context.Context, need manifest.Descriptor, nesting int) error {
	if err := i.unlessGone(ledger.Reference{Repository: i.repository, Name: need.Digest, Blob: !need.Manifest}); err != nil {
		return err
	}
	if unlessFailed.Err() != nil {
		return context.Cause(unlessFailed)
	}
	if need.Manifest {
		_, err := i.bring(ctx, need.Digest, nesting+1)
		return err
	}
	return i.blob(unlessFailed, need.Digest, need.Size)
}

// blob is brought once. The size is what the manifest says, 0 if that is not known.
func (i *image) blob(ctx context.Context, digest string, size int64) error {
	i.mu.Lock()
	there := i.whole[digest]
	i.mu.Unlock()
	if there {
		return nil
	}
	if err := i.blobs.bring(ctx, blobKey{i.target, i.repository, digest}, size, i.sources); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.whole[digest] = true
	return nil
}

// holding is how much of a manifest a target has.
type holding int

// The closed set of holdings.
const (
	none holding = iota
	damaged
	whole
)

// manifest is the target's own if it has it. Of a repository that is not there yet some registries say 401 or 403: whether we may
// write there is for the write to find out.
func (i *image) manifest(ctx context.Context, digest string) (c content, has holding, err error) {
	get := func(from transfer.Replica) (err error) {
		c.mediaType, c.body, err = from.Repository(i.repository).Manifest(ctx, digest)
		return err
	}
	switch err := get(i.reach(i.target)); {
	case err == nil:
		return c, whole, nil
	case transfer.Damaged(err):
		has = damaged
	case !transfer.Missing(err) && !transfer.Refused(err):
		return c, none, err
	}
	return c, has, each(i.sources, i.target, func(from string) error { c.from = from; return get(i.source(from, i.target)) })
}

// referrers brings what refers to the manifest: signatures are there before the tag is. By the tag schema ("sha256-…", and
// cosign's ".sig") they are tags of their own in the ledger. What a source lists but has not whole is left out; what may yet
// come is errLater, and keeps nothing else waiting.
func (i *image) referrers(ctx context.Context, digest string, nesting int) error {
	if nesting > manifest.MaxNesting {
		return nil
	}
	for _, from := range i.sources {
		list, err := i.source(from, i.target).Repository(i.repository).Referrers(ctx, digest)
		if err != nil {
			continue
		}
		var later error
		for _, referrer := range list {
			gone, err := i.gone(ledger.Reference{Repository: i.repository, Name: referrer})
			if err != nil {
				return err
			}
			if gone {
				continue
			}
			_, err = i.bring(ctx, referrer, nesting)
			if err == nil {
				err = i.referrers(ctx, referrer, nesting+1)
			}
			switch {
			case errors.Is(err, errLater):
				later = err
			case ctx.Err() != nil || transfer.Passing(err) && transfer.At(err) == i.target:
				return err
			case transfer.Passing(err):
				later = fmt.Errorf("%w: %s: %w", errLater, referrer, err)
			}
		}
		return later
	}
	return nil
}
