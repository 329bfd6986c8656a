package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// errHeld: what is asked for is not absent, and cannot be had now.
var errHeld = errors.New("what is asked for is only at replicas that cannot be asked now")

// unlessHeld puts trouble in the place of a 404 about what the record knows to be at replicas that could not be asked.
// A build takes a 404 of a tag for "not there yet" and overwrites it; after a 503 it comes again.
func (x *exchange) unlessHeld(kept answer) answer {
	said := kept.err == nil && !kept.absent() || errors.Is(kept.err, errOlder) || errors.Is(kept.err, upstream.ErrNonsense)
	if said || x.request.Named != "" || !x.reads() || x.asksToPush() {
		return kept
	}
	err := x.missing(kept)
	if err == nil {
		return kept
	}
	kept.drop()
	return answer{replica: kept.replica, reason: router.HolderDown, err: err}
}

// missing is why a 404, or trouble, is not the whole answer.
func (x *exchange) missing(kept answer) error {
	if unheard := x.request.Unheard(x.absentAt); len(unheard) > 0 {
		return fmt.Errorf("%w: %s", errHeld, strings.Join(unheard, ", "))
	}
	heard := x.heard()
	if !kept.absent() || !x.decision.OnAbsent || !x.target.blob && !x.lists() || len(heard) == len(x.fleet.Replicas()) {
		return nil
	}
	if known, ok := x.proxy.Record.Known(x.named()); ok && known.Deleted {
		return nil
	}
	if x.proxy.Record.Stranded(x.target.repository, heard) {
		return fmt.Errorf("%w: the repository has images that no replica has that is up", errHeld)
	}
	return nil
}

// heard are the replicas that did not have what was asked for, with those that share with them.
func (x *exchange) heard() (names []string) {
	said := slices.Concat(x.absentAt, x.deniedBy)
	for i := range x.fleet.Replicas() {
		if r := &x.fleet.Replicas()[i]; slices.ContainsFunc(said, r.Shares) {
			names = append(names, r.Name)
		}
	}
	return names
}

// asksToPush: a client that pushes is told what the replica of its push does not have, and pushes it.
func (x *exchange) asksToPush() bool {
	return x.target.kind == router.Exists || x.in.Method == http.MethodHead && x.request.Bound != "" && x.target.isDigest()
}

// noteMissed: what the record knows to be at a replica, and is not there any more, has to be brought there again.
func (x *exchange) noteMissed() {
	if !x.target.manifest || len(x.absentAt) == 0 || x.request.Named != "" {
		return
	}
	known, ok := x.proxy.Record.Known(x.named())
	if !ok || known.Deleted {
		return
	}
	for _, r := range x.absentAt {
		// Once in a while: a registry may hide what it has from whoever has no login.
		if slices.Contains(known.Confirmed, r.Name) && x.proxy.lost.due("missed "+r.Name+" "+x.in.URL.Path, time.Now()) {
			x.proxy.missed(x.named(), r.Name)
		}
	}
}
