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
func (a *Audit) again(ctx context.Context, ask func() error) error {
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

// look finds out what a replica has of a repository: all its tags, of what the ledger knows what is there, what refers to any
// of it, and, of manifests that nobody has vouched for, the parts.
func (a *Audit) look(ctx context.Context, replica, repository string, known Known, deep bool) (Holding, error) {
	l := looker{
		Audit: a, at: a.reach(replica), repository: repository, known: known,
		h: Holding{Has: map[string]transfer.Content{}, Lacks: map[string][]string{}}, blobs: map[string]bool{}, more: map[string]bool{},
	}
	names, err := l.names(ctx)
	asked := map[string]bool{}
	for err == nil && len(names) > 0 && len(l.h.Has) <= 4*maxTags {
		err = l.each(ctx, names, l.name)
		var digests []string
		for name := range l.h.Has {
			if !isTag(name) && !asked[name] && !known[name].Deleted {
				asked[name] = true
				digests = append(digests, name)
			}
		}
		if err == nil {
			err = l.each(ctx, digests, l.referrers)
		}
		digests = slices.DeleteFunc(inspect(known, replica, l.h, deep), func(digest string) bool { _, done := l.h.Lacks[digest]; return done })
		if err == nil {
			err = l.each(ctx, digests, l.parts)
		}
		names = nil
		for name := range l.more {
			if _, there := l.h.Has[name]; !there {
				names = append(names, name)
			}
		}
		clear(l.more)
	}
	return l.h, err
}

// looker is one look at one repository of one replica.
type looker struct {
	// Static.
	*Audit
	at         transfer.Replica
	repository string
	known      Known

	// Guarded by mu while something is asked.
	mu    sync.Mutex
	h     Holding
	blobs map[string]bool // by digest; those that are there
	more  map[string]bool // digests of referrers and children
}

// each asks about names, some at a time.
func (l *looker) each(ctx context.Context, names []string, ask func(ctx context.Context, name string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(together)
	for _, name := range names {
		group.Go(func() error { return l.again(ctx, func() error { return ask(ctx, name) }) })
	}
	return group.Wait()
}

// names are what is asked for first. Tags that the ledger has and the replica's list has not are among it: lists may be late.
func (l *looker) names(ctx context.Context) (names []string, err error) {
	err = l.again(ctx, func() error {
		tags, whole, err := l.at.Repository(l.repository).Tags(ctx, maxTags)
		if err == nil && !whole {
			err = errTooMany
		}
		names = tags
		return err
	})
	for name, e := range l.known {
		if !isTag(name) || !e.Deleted {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// name looks it up; of a tag, the digest is there as well.
func (l *looker) name(ctx context.Context, name string) error {
	c, there, err := l.at.Repository(l.repository).Look(ctx, name)
	if err != nil || !there {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.h.Has[name], l.h.Has[c.Digest] = c, c
	return nil
}

// referrers have no list of their own but that of what they refer to, which may itself refer to something.
func (l *looker) referrers(ctx context.Context, digest string) error {
	list, err := l.at.Repository(l.repository).Referrers(ctx, digest)
	if transfer.Refused(err) { // what stands before some registries knows no such path
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, referrer := range list {
		l.more[referrer] = true
	}
	return err
}

// parts looks for what a manifest names. Children of an index may be missing: those that are there are manifests of their own.
func (l *looker) parts(ctx context.Context, digest string) error {
	_, body, err := l.at.Repository(l.repository).Manifest(ctx, digest)
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
			l.mu.Lock()
			l.more[need.Digest] = true
			l.mu.Unlock()
		case !need.Optional:
			there, err := l.blob(ctx, need.Digest)
			if err != nil {
				return err
			}
			if !there {
				lacks = append(lacks, need.Digest)
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.h.Lacks[digest] = lacks
	return nil
}

// blob: what was deleted need not be there.
func (l *looker) blob(ctx context.Context, digest string) (bool, error) {
	l.mu.Lock()
	there := l.blobs[digest]
	l.mu.Unlock()
	if there {
		return true, nil
	}
	there, err := l.at.Repository(l.repository).HasBlob(ctx, digest)
	if err != nil {
		return false, err
	}
	if there {
		l.mu.Lock()
		l.blobs[digest] = true
		l.mu.Unlock()
		return true, nil
	}
	e, known, err := l.Ledger.Get(ledger.Reference{Repository: l.repository, Name: digest, Blob: true})
	return known && e.Deleted, err
}
