package proxy

import (
	"net/http"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// maxBorrowed is how large a blob may be, in bytes, that exists only elsewhere and is said to exist: it has to be
// copied while a manifest waits, at some 10 MB a second between far regions. A larger one is pushed again by whoever
// has it at hand. Of one whose size its registry does not tell it is hoped that it is not.
const maxBorrowed = 128 << 20

// existsElsewhere asks the others whether they have a blob that the push's own replica does not have. The first of them
// that has it answers. If a push is under way, it is copied at once. What was deleted nobody has until it is pushed
// again.
func (x *exchange) existsElsewhere(out *http.Request, got answer) answer {
	asksOwner := x.decided.request.Kind == router.Exists && x.decided.request.Named == ""
	if !got.Absent() && !got.Denied || !asksOwner || x.gone(manifest.Descriptor{Digest: x.target.reference}) {
		return got
	}
	for _, a := range x.askAll(out, x.decided.Elsewhere) {
		if a.Status != http.StatusOK || a.response.ContentLength > maxBorrowed || x.unsettled(a.Replica) {
			continue
		}
		if x.decided.request.Lease != "" {
			x.bringHome(x.target.reference, a.Replica.Name, got.Replica.Name)
		}
		got.drop()
		a.pushTo, a.reason = got.Replica.Name, router.Fallthrough
		return a
	}
	return x.putKept(out, got)
}
