package audit

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

var errTooMany = errors.New("more tags than are looked at")

// takeInventory finds out what a replica has of a repository: all its tags, what the ledger knows, what refers to any
// of it, and the blobs of manifests that the replica has not confirmed, or, if deep, of all.
func (a *Audit) takeInventory(
	ctx context.Context, replica, repository string, known entriesByName, deep bool,
) (holding, error) {
	v := inventory{
		Audit: a, at: a.reach(replica), repository: repository, known: known, deep: deep,
		found: holding{has: map[string]transfer.Content{}, lacks: map[string][]string{}},
		asked: map[string]bool{}, presentBlobs: map[string]bool{}, toAsk: map[string]bool{},
	}
	names, err := v.names(ctx)
	for err == nil && len(names) > 0 && len(v.found.has) <= 4*maxTags {
		err = v.ask(ctx, names)
		names = v.nextNames()
	}
	return v.found, err
}

// inventory is one look at one repository of one replica.
type inventory struct {
	// Static.
	*Audit
	at         transfer.Replica
	repository string
	known      entriesByName
	deep       bool

	// Guarded by mu while something is asked.
	mu           sync.Mutex
	found        holding
	asked        map[string]bool // digests whose referrers were asked for
	presentBlobs map[string]bool // by digest
	toAsk        map[string]bool // digests of referrers and children
}

// ask looks names up, then what refers to them, then their blobs.
func (v *inventory) ask(ctx context.Context, names []string) error {
	if err := v.askEach(ctx, names, v.lookUp); err != nil {
		return err
	}
	var digests []string
	for name := range v.found.has {
		if !isTag(name) && !v.asked[name] && !v.known[name].Deleted {
			v.asked[name] = true
			digests = append(digests, name)
		}
	}
	if err := v.askEach(ctx, digests, v.lookUpReferrers); err != nil {
		return err
	}
	digests = toInspect(v.known, v.at.Name, v.found, v.deep)
	return v.askEach(ctx, slices.DeleteFunc(digests, v.inspected), v.lookUpBlobs)
}

func (v *inventory) inspected(digest string) bool {
	_, done := v.found.lacks[digest]
	return done
}

// nextNames are the digests that came up and were not asked for yet.
func (v *inventory) nextNames() (names []string) {
	for name := range v.toAsk {
		if _, there := v.found.has[name]; !there {
			names = append(names, name)
		}
	}
	clear(v.toAsk)
	return names
}

// askEach asks about names, some at a time.
func (v *inventory) askEach(
	ctx context.Context, names []string, ask func(ctx context.Context, name string) error,
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchSize)
	for _, name := range names {
		group.Go(func() error { return v.retry(ctx, func() error { return ask(ctx, name) }) })
	}
	return group.Wait()
}

// names are the replica's tags and what the ledger knows. Tags that the ledger has and the replica does not list are
// among them: lists may be late.
func (v *inventory) names(ctx context.Context) (names []string, err error) {
	err = v.retry(ctx, func() error {
		tags, complete, err := v.at.Repository(v.repository).Tags(ctx, maxTags)
		if err == nil && !complete {
			err = errTooMany
		}
		names = tags
		return err
	})
	for name, e := range v.known {
		if !isTag(name) || !e.Deleted {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// lookUp looks a name up. With a tag its digest is there as well.
func (v *inventory) lookUp(ctx context.Context, name string) error {
	c, there, err := v.at.Repository(v.repository).Look(ctx, name)
	if err != nil || !there {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.found.has[name], v.found.has[c.Digest] = c, c
	return nil
}

// lookUpReferrers lists what refers to a digest. No other list has those.
func (v *inventory) lookUpReferrers(ctx context.Context, digest string) error {
	list, err := v.at.Repository(v.repository).Referrers(ctx, digest)
	if transfer.Refused(err) { // some proxies before registries refuse the path
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, referrer := range list {
		v.toAsk[referrer] = true
	}
	return err
}

// lookUpBlobs looks for the blobs that a manifest names. Children of an index may be missing; those that are there are
// manifests of their own.
func (v *inventory) lookUpBlobs(ctx context.Context, digest string) error {
	_, body, err := v.at.Repository(v.repository).Manifest(ctx, digest)
	if transfer.Missing(err) { // since a moment
		return nil
	}
	if err != nil && !transfer.Damaged(err) {
		return err
	}
	var lacks []string
	if err != nil || !json.Valid(body) { // some registries keep what came of a request that broke off
		body, lacks = nil, []string{digest}
	}
	needs, err := manifest.Needs(body)
	if err != nil {
		return err
	}
	for _, need := range needs {
		switch {
		case need.Manifest:
			v.mu.Lock()
			v.toAsk[need.Digest] = true
			v.mu.Unlock()
		case !need.Optional:
			there, err := v.hasBlob(ctx, need.Digest)
			if err != nil {
				return err
			}
			if !there {
				lacks = append(lacks, need.Digest)
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.found.lacks[digest] = lacks
	return nil
}

// hasBlob reports whether a blob is there, or was deleted and need not be.
func (v *inventory) hasBlob(ctx context.Context, digest string) (bool, error) {
	v.mu.Lock()
	there := v.presentBlobs[digest]
	v.mu.Unlock()
	if there {
		return true, nil
	}
	there, err := v.at.Repository(v.repository).HasBlob(ctx, digest)
	if err != nil {
		return false, err
	}
	if there {
		v.mu.Lock()
		v.presentBlobs[digest] = true
		v.mu.Unlock()
		return true, nil
	}
	e, known, err := v.Ledger.Get(ledger.Reference{Repository: v.repository, Name: digest, Blob: true})
	return known && e.Deleted, err
}
