// Package graph copies an image with all that belongs to it from one registry to another: children of an index, layers,
// referrers, signatures. What refers to something comes after it, and the tags come last.
package graph

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

const (
	maxDescriptors = 8 // looked after at a time, for one manifest
	maxBlobs       = 4 // copied at a time
)

// Copy is one image on its way.
type Copy struct {
	// Static after New.
	from, to transfer.Repository
	force    bool
	slots    chan struct{} // one for each blob that is copied

	progress
	manifests manifest.Once[content]
	blobs     manifest.Once[struct{}]
}

// New returns a copy for one Run. With force, tags that name something else are moved.
func New(from, to transfer.Repository, force bool) *Copy {
	return &Copy{from: from, to: to, force: force, slots: make(chan struct{}, maxBlobs)}
}

// content is a manifest as it is stored.
type content struct {
	digest, mediaType string
	body              []byte
}

// ConflictError means that a tag names something else already.
type ConflictError struct{ Tag, Digest string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("tag %s exists already, with %s", e.Tag, e.Digest)
}

// UnseenError means that the target does not say whether a tag exists, so that the tag is not put.
type UnseenError struct {
	Tag string
	Err error
}

func (e *UnseenError) Error() string {
	return fmt.Sprintf("whether tag %s exists cannot be seen: %v", e.Tag, e.Err)
}

func (e *UnseenError) Unwrap() error { return e.Err }

// Run copies what reference names, a tag or a digest, and gives it the tags. What the target has is not copied again,
// so that an interrupted copy goes on when it is repeated.
func (c *Copy) Run(ctx context.Context, reference string, tags []string) (digest string, err error) {
	if digest, err = c.resolve(ctx, reference); err != nil {
		return "", err
	}
	var missing []string
	for _, tag := range tags {
		// Some registries answer 401 or 403 for a repository that is not there yet: whether we may write there, the
		// write will tell.
		there, err := c.tagged(ctx, tag, digest)
		if err != nil && !transfer.Refused(err) {
			return "", err
		}
		if !there {
			missing = append(missing, tag)
		}
	}
	root, err := c.bringManifest(ctx, digest, 0)
	if err != nil {
		return "", err
	}
	if err := c.attachments(ctx); err != nil {
		return "", err
	}
	for _, tag := range missing {
		if err := c.putTag(ctx, tag, digest, root); err != nil {
			return "", err
		}
	}
	return digest, nil
}

// putTag asks again what the tag names, now that the repository is there: what was refused before may be shown now, and
// somebody else may have pushed meanwhile.
func (c *Copy) putTag(ctx context.Context, tag, digest string, root content) error {
	there, err := c.tagged(ctx, tag, digest)
	switch {
	case transfer.Refused(err) && c.force:
	case transfer.Refused(err):
		return &UnseenError{tag, err}
	case err != nil || there:
		return err
	}
	return c.to.PutTag(ctx, tag, digest, root.mediaType, root.body)
}

func (c *Copy) resolve(ctx context.Context, reference string) (string, error) {
	digest, _, _, err := c.from.Tagged(ctx, reference)
	if errors.Is(err, transfer.ErrTag) {
		return reference, nil
	}
	return digest, err
}

// tagged reports whether the tag names the digest at the target, or returns a ConflictError.
func (c *Copy) tagged(ctx context.Context, tag, digest string) (bool, error) {
	has, _, _, err := c.to.Tagged(ctx, tag)
	switch {
	case transfer.Missing(err):
		return false, nil
	case err != nil:
		return false, err
	case has != digest && !c.force:
		return false, &ConflictError{tag, has}
	}
	return has == digest, nil
}

// bringManifest returns when the target has the manifest, after all that it names.
func (c *Copy) bringManifest(ctx context.Context, digest string, nesting int) (content, error) {
	if nesting > manifest.MaxNesting {
		return content{}, fmt.Errorf("more than %d manifests in each other", manifest.MaxNesting)
	}
	return c.manifests.Do(ctx, digest, func() (content, error) { return c.copyManifest(ctx, digest, nesting) })
}

func (c *Copy) copyManifest(ctx context.Context, digest string, nesting int) (content, error) {
	mediaType, body, err := c.from.Manifest(ctx, digest)
	if err != nil {
		return content{}, err
	}
	needs, err := manifest.Needs(body)
	if err != nil {
		return content{}, err
	}
	group, bounded := errgroup.WithContext(ctx)
	group.SetLimit(maxDescriptors)
	for _, need := range needs {
		group.Go(func() error {
			err := c.bringDescriptor(bounded, need, nesting)
			if need.Optional && transfer.Missing(err) && transfer.At(err) == c.from.Replica.Name {
				return nil // indexes may be sparse
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return content{}, err
	}
	there, err := c.to.HasManifest(ctx, digest)
	if !there && (err == nil || transfer.Refused(err)) {
		err = c.to.PutManifest(ctx, digest, mediaType, body)
	}
	return content{digest, mediaType, body}, err
}

func (c *Copy) bringDescriptor(ctx context.Context, need manifest.Descriptor, nesting int) error {
	if need.Manifest {
		_, err := c.bringManifest(ctx, need.Digest, nesting+1)
		return err
	}
	_, err := c.blobs.Do(ctx, need.Digest, func() (struct{}, error) { return struct{}{}, c.copyBlob(ctx, need) })
	return err
}

func (c *Copy) copyBlob(ctx context.Context, need manifest.Descriptor) (err error) {
	c.begin(need.Size)
	defer func() {
		if err != nil && ctx.Err() != nil {
			c.forget(need.Size) // who else names it begins anew
		}
	}()
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-c.slots }()
	there, err := c.to.HasBlob(ctx, need.Digest)
	if err != nil && !transfer.Refused(err) {
		return err
	}
	var moved atomic.Int64
	if !there {
		from := c.from
		from.Replica = from.Replica.Counted(func(n int) { moved.Add(int64(n)); c.move(n) })
		err = transfer.CopyBlob(ctx, from, c.to, need.Digest, need.Size)
	}
	c.end(need.Size, moved.Load(), there, err)
	return err
}
