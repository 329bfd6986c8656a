package proxy

import (
	"context"
	"errors"

	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// jobKey names a copy: of one digest to one replica there is one at a time, whoever wants it.
type jobKey struct{ repository, digest, owner string }

type job struct {
	done chan struct{} // closed when err is there
	err  error
}

// copied returns when what a descriptor names is on the owner, or ctx has ended.
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
			return &missingBlobError{need.Digest, p.owner, p.others, nil}
		}
		if j.err != nil && !errors.Is(j.err, errHealing) {
			return &missingBlobError{need.Digest, p.owner, p.others, j.err}
		}
		return j.err
	case <-ctx.Done():
		return errHealing
	}
}

// begin starts the copy of what a descriptor names, or joins the one that is under way.
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
		if from == ownCache && j.err == nil {
			h.metrics.uploadsBegunAgain.WithLabelValues(whyCommitted).Inc()
			h.log.Info("what only a lost replica has is put to another one", "to", p.owner,
				"repository", p.repository, "digest", need.Digest, "bytes", need.Size)
		}
		h.mu.Lock()
		delete(h.jobs, key)
		h.mu.Unlock()
		close(j.done)
	})
	return j, false, nil
}

func (h *healer) copy(ctx context.Context, p pushing, need manifest.Descriptor, from string, nesting int) error {
	source, target := h.source(p, need, from), h.reach(p.owner, p.host)
	w := ownWrite{h, p, need, source}
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
	if err := h.complete(ctx, p, needs, nothingKnown, nesting+1); err != nil {
		return err
	}
	return w.write(ctx, func(context.Context) error { // not cut short, which would leave it open whether it is there
		return p.at(target).PutManifest(ctx, need.Digest, mediaType, body)
	})
}
