package proxy

import (
	"net/http"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// maxBorrowed is how large a blob may be, in bytes, that exists only elsewhere and is said to exist: it has to be copied while
// a manifest waits, at some 10 MB a second between far regions. A larger one is pushed again by whoever has it at hand. Of one
// whose size its registry does not tell it is hoped that it is not.
const maxBorrowed = 128 << 20

// existsElsewhere asks the others whether they have a blob that the push's own replica does not have. The first of them that
// has it answers. If a push is under way, it is copied at once. What was deleted nobody has until it is pushed again.
func (x *exchange) existsElsewhere(out *http.Request, kept answer) answer {
	if !kept.absent() && !kept.denied || len(x.decision.Elsewhere) == 0 || x.gone(manifest.Descriptor{Digest: x.target.reference}) {
		return kept
	}
	for _, a := range x.askAll(out, x.decision.Elsewhere) {
		if a.err != nil || a.response.StatusCode != http.StatusOK || a.response.ContentLength > maxBorrowed || x.unsettled(a.replica) {
			continue
		}
		if x.request.Lease != "" {
			x.bringHome(x.target.reference, a.replica.Name, kept.replica.Name)
		}
		x.pushTo = kept.replica.Name
		kept.response.Body.Close()
		a.reason = router.Fallthrough
		return a
	}
	return kept
}
