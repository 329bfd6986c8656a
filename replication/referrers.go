package replication

import (
	"context"
	"errors"
	"fmt"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

var errReferrerPending = errors.New("a referrer cannot be had")

// ensureReferrers copies what refers to a manifest, so that signatures are there before the tag is. Those of the tag
// schema ("sha256-…", and cosign's ".sig") are tags of their own in the ledger. It leaves out what a source lists but
// does not have completely. It returns errReferrerPending, after all others, if one may yet come.
func (i *image) ensureReferrers(ctx context.Context, digest string, nesting int) error {
	if nesting > manifest.MaxNesting {
		return nil
	}
	for _, from := range i.sources {
		list, err := i.source(from, i.target).Repository(i.repository).Referrers(ctx, digest)
		if err != nil {
			continue
		}
		var pending error
		for _, referrer := range list {
			gone, err := i.deleted(ledger.Reference{Repository: i.repository, Name: referrer})
			if err != nil {
				return err
			}
			if gone {
				continue
			}
			_, err = i.ensure(ctx, referrer, nesting)
			if err == nil {
				err = i.ensureReferrers(ctx, referrer, nesting+1)
			}
			switch {
			case errors.Is(err, errReferrerPending):
				pending = err
			case ctx.Err() != nil || transfer.Passing(err) && transfer.At(err) == i.target:
				return err
			case transfer.Passing(err):
				pending = fmt.Errorf("%w: %s: %w", errReferrerPending, referrer, err)
			}
		}
		return pending
	}
	return nil
}
