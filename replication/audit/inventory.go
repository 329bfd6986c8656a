package audit

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

var errTooMany = errors.New("more tags than are looked at")

// limit is for all requests of audits to one replica.
type limit struct {
	rate     *rate.Limiter
	inFlight *semaphore.Weighted // until they are answered
}

func (l *limit) wait(ctx context.Context) error {
	if err := l.inFlight.Acquire(ctx, 1); err != nil {
		return err
	}
	err := l.rate.Wait(ctx)
	if err != nil {
		l.inFlight.Release(1)
	}
	return err
}

// limited keeps an audit from being a load.
type limited struct {
	http.RoundTripper
	limit *limit
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := l.limit.wait(r.Context()); err != nil {
		if r.Body != nil {
			r.Body.Close() // as all transports do
		}
		return nil, err
	}
	defer l.limit.inFlight.Release(1)
	return l.RoundTripper.RoundTrip(r)
}

// reach is a replica, at the pace at which audits ask it.
func (a *Audit) reach(replica string) transfer.Replica {
	a.mu.Lock()
	if a.limits[replica] == nil {
		a.limits[replica] = &limit{rate.NewLimiter(perSecond, together), semaphore.NewWeighted(inFlight)}
	}
	limit := a.limits[replica]
	a.mu.Unlock()
	r := a.Reach(replica)
	r.Name = replica
	r.Transport = limited{r.Transport, limit}
	return r
}

// again asks anew what may go better.
func (a *Audit) retry(ctx context.Context, ask func() error) error {
	for n := range tries {
		err := ask()
		if err == nil || n == tries-1 || !transfer.Passing(err) || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(a.pause << n)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
	return nil
}

// look finds out what a replica has of a repository: all its tags, of what the ledger knows what is there, what refers
// to any of it, and, of manifests that nobody has vouched for, the parts.
func (a *Audit) takeInventory(ctx context.Context, replica, repository string, known entriesByName, deep bool) (holding, error) {
	i := inventory{
		Audit: a, at: a.reach(replica), repository: repository, known: known,
		h: holding{Has: map[string]transfer.Content{}, Lacks: map[string][]string{}}, blobs: map[string]bool{}, more: map[string]bool{},
	}
	names, err := i.names(ctx)
	asked := map[string]bool{}
	for err == nil && len(names) > 0 && len(i.h.Has) <= 4*maxTags {
		err = i.each(ctx, names, i.name)
		var digests []string
		for name := range i.h.Has {
			if !isTag(name) && !asked[name] && !known[name].Deleted {
				asked[name] = true
				digests = append(digests, name)
			}
		}
		if err == nil {
			err = i.each(ctx, digests, i.referrers)
		}
		digests = slices.DeleteFunc(inspect(known, replica, i.h, deep), func(digest string) bool { _, done := i.h.Lacks[digest]; return done })
		if err == nil {
			err = i.each(ctx, digests, i.parts)
		}
		names = nil
		for name := range i.more {
			if _, there := i.h.Has[name]; !there {
				names = append(names, name)
			}
		}
		clear(i.more)
	}
	return i.h, err
}

// looker is one look at one repository of one replica.
type inventory struct {
	// Static.
	*Audit
	at         transfer.Replica
	repository string
	known      entriesByName

	// Guarded by mu while something is asked.
	mu    sync.Mutex
	h     holding
	blobs map[string]bool // by digest; those that are there
	more  map[string]bool // digests of referrers and children
}

// each asks about names, some at a time.
func (i *inventory) each(ctx context.Context, names []string, ask func(ctx context.Context, name string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(together)
	for _, name := range names {
		group.Go(func() error { return i.retry(ctx, func() error { return ask(ctx, name) }) })
	}
	return group.Wait()
}

// names are what is asked for first. Tags that the ledger has and the replica's list has not are among it: lists may be
// late.
func (i *inventory) names(ctx context.Context) (names []string, err error) {
	err = i.retry(ctx, func() error {
		tags, whole, err := transfer.Tags(ctx, i.at, i.repository, maxTags, nil)
		if err == nil && !whole {
			err = errTooMany
		}
		names = tags
		return err
	})
	for name, e := range i.known {
		if !isTag(name) || !e.Deleted {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// name looks it up; of a tag, the digest is there as well.
func (i *inventory) name(ctx context.Context, name string) error {
	c, there, err := transfer.Look(ctx, i.at, i.repository, name, nil)
	if err != nil || !there {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.h.Has[name], i.h.Has[c.Digest] = c, c
	return nil
}

// referrers have no list of their own but that of what they refer to, which may itself refer to something.
func (i *inventory) referrers(ctx context.Context, digest string) error {
	list, err := transfer.Referrers(ctx, i.at, i.repository, digest, nil)
	if transfer.Refused(err) { // what stands before some registries knows no such path
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, referrer := range list {
		i.more[referrer] = true
	}
	return err
}

// parts looks for what a manifest names. Children of an index may be missing: those that are there are manifests of
// their own.
func (i *inventory) parts(ctx context.Context, digest string) error {
	_, body, err := transfer.Manifest(ctx, i.at, i.repository, digest, nil)
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
			i.mu.Lock()
			i.more[need.Digest] = true
			i.mu.Unlock()
		case !need.Optional:
			there, err := i.blob(ctx, need.Digest)
			if err != nil {
				return err
			}
			if !there {
				lacks = append(lacks, need.Digest)
			}
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.h.Lacks[digest] = lacks
	return nil
}

// blob: what was deleted need not be there.
func (i *inventory) blob(ctx context.Context, digest string) (bool, error) {
	i.mu.Lock()
	there := i.blobs[digest]
	i.mu.Unlock()
	if there {
		return true, nil
	}
	there, err := transfer.HasBlob(ctx, i.at, i.repository, digest, nil)
	if err != nil {
		return false, err
	}
	if there {
		i.mu.Lock()
		i.blobs[digest] = true
		i.mu.Unlock()
		return true, nil
	}
	e, known, err := i.Ledger.Get(ledger.Reference{Repository: i.repository, Name: digest, Blob: true})
	return known && e.Deleted, err
}
