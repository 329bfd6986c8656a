package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"
)

// Image is the answer of /images?repository=NAME&reference=TAG or DIGEST: what the ledger says of it.
type Image struct {
	Repository string    `json:"repository"`
	Reference  string    `json:"reference"`
	Digest     string    `json:"digest"` // "" of a tag that was deleted and not known before
	MediaType  string    `json:"media_type"`
	Size       int64     `json:"size"` // of the manifest
	Deleted    bool      `json:"deleted"`
	Accepted   time.Time `json:"accepted,omitzero"` // the push, or the deletion; zero: it was found there by an audit
	AcceptedBy string    `json:"accepted_by"`       // the replica
	Gateway    string    `json:"gateway,omitempty"` // that recorded it, if it was not found
	Replicas   []Place   `json:"replicas"`
	Children   []Child   `json:"children"`         // of an index, where asked for
	Problem    string    `json:"children_problem"` // why these are not known
	Version    string    `json:"version"`          // another one is another answer
}

// Place is how far one replica is with an image.
type Place struct {
	Replica string     `json:"replica"`
	State   PlaceState `json:"state"`
	Reason  string     `json:"reason"`   // "" where the state says all
	Tries   int        `json:"tries"`    // that have failed
	GivenUp bool       `json:"given_up"` // until somebody says `fairlead replication retry`
}

// PlaceState is one of a closed set.
type PlaceState string

// The states of a place.
const (
	There    PlaceState = "there"     // it has it; of what was deleted: it is rid of it
	Pending  PlaceState = "pending"   // it is to get it
	Failed   PlaceState = "failed"    // that was tried
	LeftOut  PlaceState = "left_out"  // by a filter of the file
	ReadOnly PlaceState = "read_only" // nothing is written there
	Offline  PlaceState = "offline"   // by the operator's word
	Leaving  PlaceState = "leaving"   // the file has the replica no more
)

// Expected reports whether the replica has the image, or will have it.
func (s PlaceState) Expected() bool { return s == There || s == Pending || s == Failed }

// Child is a manifest that an index names.
type Child struct {
	Digest   string  `json:"digest"`
	Known    bool    `json:"known"` // to the ledger
	Replicas []Place `json:"replicas"`
}

// Bounds of a long poll.
const (
	maxWait  = 30 * time.Second // the listener's own bound is a minute
	maxPolls = 256              // at a time
	lookAt   = time.Second      // again, for what nobody tells of: replicas that fail, go down or come back
	leastGap = 100 * time.Millisecond
)

// images answers what is known of one image: at once, or with `after` and `wait` as soon as that is another version.
type images struct {
	// Static.
	config Config
	polls  chan struct{}
}

func (i images) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	repository, reference := query.Get("repository"), query.Get("reference")
	if repository == "" || reference == "" {
		writeProblem(w, Problem{http.StatusBadRequest, "repository and reference, a tag or a digest, are required"})
		return
	}
	wait, err := time.ParseDuration(query.Get("wait"))
	if query.Has("wait") && (err != nil || wait < 0 || wait > maxWait) {
		writeProblem(w, Problem{http.StatusBadRequest, fmt.Sprintf("wait is from 0s to %v", maxWait)})
		return
	}
	if wait > 0 {
		select {
		case i.polls <- struct{}{}:
			defer func() { <-i.polls }()
		default:
			writeProblem(w, Problem{http.StatusServiceUnavailable, fmt.Sprintf("only %d may wait at a time", maxPolls)})
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	image, known, err := i.await(ctx, query.Get("after"), func() (Image, bool, error) {
		image, known, err := i.config.Image(r.Context(), repository, reference, query.Has("children"))
		image.Version = version(image)
		return image, known, err
	})
	switch {
	case err != nil:
		writeProblem(w, Problem{http.StatusServiceUnavailable, "the ledger cannot be read: " + err.Error()})
	case !known:
		writeProblem(w, Problem{http.StatusNotFound, repository + " " + reference +
			" was neither pushed nor deleted through these gateways"})
	default:
		writeJSON(w, image)
	}
}

// await looks again and again until ctx ends or there is another version.
func (i images) await(ctx context.Context, after string, look func() (Image, bool, error)) (Image, bool, error) {
	for {
		changed := i.config.Changed()
		image, known, err := look()
		if err != nil || ctx.Err() != nil || known && image.Version != after {
			return image, known, err
		}
		again := time.NewTimer(lookAt)
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Reset(leastGap) // others may write all the time
		select {
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
	}
}

func version(i Image) string {
	h := fnv.New64a()
	_ = json.NewEncoder(h).Encode(i) // all of it can be encoded
	return fmt.Sprintf("%016x", h.Sum64())
}
