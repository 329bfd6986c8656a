package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// errHolderDown means that what is asked for is not absent, and cannot be had now.
var errHolderDown = errors.New("what is asked for is only at replicas that cannot be asked now")

// unlessHolderDown puts trouble in the place of a 404 about what the ledger knows to be at replicas that could not be
// asked. A build takes a 404 of a tag for "not there yet" and overwrites it; after a 503 it comes again.
func (x *exchange) unlessHolderDown(got answer, said *round) answer {
	isAnswer := got.err == nil && !got.Absent() ||
		isAny(got.err, errOlder, errTooManyThere, errDamaged, h1.ErrNonsense)
	if isAnswer || x.decided.request.Named != "" || !x.reads() || x.asksToPush() {
		return got
	}
	err := unheardError(x.decided.request.Unheard(said.absentAt()))
	if err == nil && got.Absent() {
		err = x.strandedError(said)
	}
	if err == nil {
		return got
	}
	got.drop()
	instead := failed(got.Replica, err)
	instead.reason = router.HolderDown
	return instead
}

// unheardError is why a 404, or trouble, is not the whole answer: these replicas have what is asked for.
func unheardError(unheard []string) error {
	if len(unheard) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errHolderDown, strings.Join(unheard, ", "))
}

// strandedError is why a 404 to a layer or a list is not the whole answer: an image of the repository is at none of the
// replicas that were heard.
func (x *exchange) strandedError(said *round) error {
	heard := said.without()
	if !x.decided.OnAbsent || !x.target.blob && !x.lists() || len(heard) == len(x.decided.fleet.Replicas()) {
		return nil
	}
	if known, ok := x.proxy.Ledger.Known(x.reference()); ok && known.Deleted {
		return nil
	}
	if x.proxy.Ledger.Stranded(x.target.repository, heard) {
		return fmt.Errorf("%w: the repository has images that no replica has that is up", errHolderDown)
	}
	return nil
}

// asksToPush reports whether a client asks before it pushes: it is told what the replica of its push does not have, and
// pushes it.
func (x *exchange) asksToPush() bool {
	return x.target.kind == router.Exists ||
		x.in.Method == http.MethodHead && x.decided.request.Bound != "" && x.target.isDigest()
}

// reportMissed tells of a read of what the ledger knows to be at a replica, and is not there any more: it has to be
// brought there again. Of a write that is answered 404 it does not: who deletes does not want it back.
func (x *exchange) reportMissed(absentAt []*router.Replica) {
	if !x.reads() || !x.target.manifest || len(absentAt) == 0 || x.decided.request.Named != "" {
		return
	}
	known, ok := x.proxy.Ledger.Known(x.reference())
	if !ok || known.Deleted {
		return
	}
	for _, r := range absentAt {
		// Once in a while: a registry may hide what it has from whoever has no login.
		if slices.Contains(known.Confirmed, r.Name) &&
			x.proxy.brokenOff.due("missed "+r.Name+" "+x.in.URL.Path, time.Now()) {
			x.proxy.Replication.Missed(x.reference(), r.Name)
		}
	}
}
