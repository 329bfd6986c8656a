package replication

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

const (
	maxParts   = 8 // looked after at a time, for one manifest
	maxNesting = 4 // indexes in an index, and referrers of referrers
)

// image brings manifests of one repository to one replica, each after all that it names.
type image struct {
	blobs      *blobs
	ledger     Ledger
	reach      func(replica string) transfer.Replica
	target     string
	sources    []string
	repository string
}

// content is a manifest as it is stored.
type content struct {
	mediaType string
	body      []byte
}

// bring returns when the target has the manifest and all that it names. It looks at the parts also where the manifest is
// there: registries are not obliged to, and some take a manifest without its layers.
func (i *image) bring(ctx context.Context, digest string, nesting int) (content, error) {
	if nesting > maxNesting {
		return content{}, fmt.Errorf("more than %d manifests in each other", maxNesting)
	}
	c, there, err := i.manifest(ctx, digest)
	if err != nil {
		return content{}, err
	}
	needs, err := manifest.Needs(c.body)
	if err != nil {
		return content{}, err
	}
	group, bounded := errgroup.WithContext(ctx)
	group.SetLimit(maxParts)
	for _, need := range needs {
		group.Go(func() error {
			err := i.part(bounded, need, nesting)
			if need.Optional && errors.Is(err, errNowhere) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return content{}, err
	}
	if !there {
		err = transfer.PutManifest(ctx, i.reach(i.target), i.repository, digest, c.mediaType, c.body, nil)
	}
	return c, err
}

func (i *image) part(ctx context.Context, need manifest.Part, nesting int) error {
	gone, err := i.gone(Reference{i.repository, need.Digest, !need.Manifest})
	switch {
	case err != nil:
		return err
	case gone:
		return fmt.Errorf("%s was deleted: %w", need.Digest, errNowhere)
	case need.Manifest:
		_, err := i.bring(ctx, need.Digest, nesting+1)
		return err
	}
	return i.blobs.bring(ctx, blobKey{i.target, i.repository, need.Digest}, i.sources)
}

// gone: a source that has not heard of a deletion must not undo it elsewhere.
func (i *image) gone(what Reference) (bool, error) {
	e, known, err := i.ledger.Get(what)
	return known && e.Deleted, err
}

// manifest is the target's own if it has it.
func (i *image) manifest(ctx context.Context, digest string) (c content, there bool, err error) {
	get := func(from transfer.Replica) (err error) {
		c.mediaType, c.body, err = transfer.Manifest(ctx, from, i.repository, digest, nil)
		return err
	}
	if err := get(i.reach(i.target)); !transfer.Missing(err) {
		return c, err == nil, err
	}
	return c, false, each(i.sources, i.target, func(from string) error { return get(i.blobs.source(from, i.target)) })
}

// referrers brings what refers to the manifest: signatures are there before the tag is. By the tag schema ("sha256-…", and
// cosign's ".sig") they are tags of their own in the ledger. What a source lists but has not whole is left out.
func (i *image) referrers(ctx context.Context, digest string, nesting int) error {
	if nesting > maxNesting {
		return nil
	}
	for _, from := range i.sources {
		list, err := transfer.Referrers(ctx, i.blobs.source(from, i.target), i.repository, digest, nil)
		if err != nil {
			continue
		}
		for _, referrer := range list {
			gone, err := i.gone(Reference{i.repository, referrer, false})
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
			if ctx.Err() != nil || transfer.Passing(err) {
				return err
			}
		}
		return nil
	}
	return nil
}
