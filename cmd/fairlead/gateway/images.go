package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// image is what the ledger says of one reference, for people and for who waits.
func (g *Gateway) image(ctx context.Context, repository, reference string, children bool) (admin.Image, bool, error) {
	e, known, err := g.ledger.Get(ledger.Reference{Repository: repository, Name: reference})
	if err != nil || !known {
		return admin.Image{}, false, err
	}
	fleet := g.copying.Fleet()
	i := imageOf(e, fleet, g.copying.FailuresOf(e))
	if !e.Deleted && !e.Blob {
		g.askAround(ctx, e, fleet, i.Replicas)
	}
	if e.DeletedWithDigest() {
		if digest, known, err := g.ledger.Get(ledger.Reference{Repository: repository, Name: e.Digest}); err == nil &&
			known && digest.Deleted {
			i.Gateway = digest.Gateway()
		}
	}
	if children && !e.Deleted {
		if i.Children, err = g.children(ctx, e, fleet); err != nil {
			i.Problem = err.Error()
		}
	}
	return i, true, nil
}

// askWait bounds the question whether replicas have what they are said to have.
const askWait = 5 * time.Second

// askAround takes the ledger's word back where a replica does not answer, or no longer has the image: a registry may
// have been emptied, or restored from a backup. What it lacks is copied again.
func (g *Gateway) askAround(ctx context.Context, e ledger.Entry, fleet replication.Fleet, places []admin.Place) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	var all sync.WaitGroup
	for i, r := range fleet.Replicas {
		place := &places[i]
		switch {
		case place.State != admin.There:
		case !r.Up:
			place.State, place.Reason = admin.Pending, "it is down"
		default:
			all.Go(func() {
				found, there, err := g.copying.Reach(r.Name).Repository(e.Repository).Look(ctx, e.Name)
				switch {
				case transfer.Refused(err): // by a replica that we have no login for, the ledger is all there is
					return
				case err != nil:
					place.State, place.Reason = admin.Pending, "it does not say whether it has it: "+err.Error()
				case !there:
					place.State, place.Reason = admin.Pending, "its registry no longer has it, and gets it again"
				case found.Digest != e.Digest:
					place.State, place.Reason = admin.Pending, "its registry has "+found.Digest
					if g.copying.UnseenDeletes { // another gateway may have recorded that
						return
					}
				default:
					return
				}
				g.copying.RecheckMissing(r.Name, e.Reference)
				g.copying.emptied.suspect(r.Name)
			})
		}
	}
	all.Wait()
}

func imageOf(e ledger.Entry, fleet replication.Fleet, failures map[string]replication.Failure) admin.Image {
	out := admin.Image{
		Repository: e.Repository, Reference: e.Name, Digest: e.Digest, MediaType: e.MediaType, Size: e.Size,
		Deleted:    e.Deleted,
		AcceptedBy: e.Replica,
		Replicas:   placesOf(e, fleet, failures), Children: []admin.Child{},
	}
	if !e.Found() {
		out.Accepted, out.Gateway = e.When(), e.Gateway()
	}
	return out
}

// placesOf is how far each replica is with an entry, by name.
func placesOf(e ledger.Entry, fleet replication.Fleet, failures map[string]replication.Failure) []admin.Place {
	places := make([]admin.Place, len(fleet.Replicas))
	for i, r := range fleet.Replicas {
		places[i] = placeOf(e, r, fleet.Replicas, failures)
	}
	return places
}

func placeOf(e ledger.Entry, r replication.Replica, all []replication.Replica,
	failures map[string]replication.Failure) admin.Place {
	place := admin.Place{Replica: r.Name}
	has := func(other replication.Replica) bool { return slices.Contains(e.Confirmed, other.Name) }
	failure, failed := failures[r.Name]
	switch {
	case has(r), r.Storage != "" && slices.ContainsFunc(all,
		func(o replication.Replica) bool { return o.Storage == r.Storage && has(o) }):
		place.State = admin.There
	case r.Offline:
		place.State = admin.Offline
	case r.Leaving:
		place.State = admin.Leaving
	case !r.Writable:
		place.State = admin.ReadOnly
	case !e.Deleted && r.LeftOut != nil && r.LeftOut(e.Repository):
		place.State = admin.LeftOut
	case failed:
		place.State, place.Reason, place.Tries, place.GivenUp = admin.Failed, failure.Reason, failure.Tries,
			failure.GivenUp
	case !r.Up:
		place.State, place.Reason = admin.Pending, "it is down"
	case !e.Deleted && !slices.ContainsFunc(all, func(o replication.Replica) bool {
		return has(o) && o.Up &&
			!o.Offline
	}):
		place.State, place.Reason = admin.Pending, errNobodyHasIt.Error()
	default:
		place.State = admin.Pending
	}
	return place
}

// Bounds of looking into an index.
const (
	childrenWait = 5 * time.Second
	maxChildren  = 256
)

// children are those of an index, which any replica that has it can tell.
func (g *Gateway) children(ctx context.Context, e ledger.Entry, fleet replication.Fleet) ([]admin.Child, error) {
	out := []admin.Child{}
	if e.MediaType != "" && !strings.Contains(e.MediaType, "index") && !strings.Contains(e.MediaType, "manifest.list") {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, childrenWait)
	defer cancel()
	body, err := g.manifest(ctx, e, fleet)
	if err != nil {
		return out, err
	}
	needs, err := manifest.Needs(body)
	if err != nil {
		return out, err
	}
	for _, need := range needs {
		if !need.Manifest || len(out) == maxChildren {
			continue
		}
		child, known, err := g.ledger.Get(ledger.Reference{Repository: e.Repository, Name: need.Digest})
		if err != nil {
			return out, err
		}
		c := admin.Child{Digest: need.Digest, Known: known, Replicas: []admin.Place{}}
		if known {
			c.Replicas = placesOf(child, fleet, g.copying.FailuresOf(child))
		}
		out = append(out, c)
	}
	return out, nil
}

var errNobodyHasIt = errors.New("no replica that has it can be reached")

func (g *Gateway) manifest(ctx context.Context, e ledger.Entry, fleet replication.Fleet) (body []byte, err error) {
	err = errNobodyHasIt
	for _, r := range fleet.Replicas {
		if !r.Up || r.Offline || !slices.Contains(e.Confirmed, r.Name) {
			continue
		}
		if _, body, err = g.copying.Reach(r.Name).Repository(e.Repository).Manifest(ctx, e.Digest); err == nil {
			return body, nil
		}
	}
	return nil, err
}
