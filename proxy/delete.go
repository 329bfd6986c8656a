package proxy

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
)

// deletes: content goes on every replica. Whoever names a replica means that one.
func (x *exchange) deletes() bool {
	return x.in.Method == http.MethodDelete && x.request.Named == "" && (x.target.manifest || x.target.blob)
}

// settleDelete deletes on all other replicas what the first has deleted or does not have. A refusal is the answer, and nothing
// else is asked. The client is told of success if any replica had it, and of absence only if nobody may still have it.
func (x *exchange) settleDelete(out *http.Request, got answer) (*http.Response, error) {
	here, known := got.accepted(), x.recorded()
	if !here && !got.absent() && !x.refusesUnknown(got, known) {
		return got.response, nil
	}
	others := x.elsewhere(got.replica)
	if here {
		if _, err := x.take(got); err != nil {
			return nil, err
		}
		if err := x.bury(got); err != nil {
			return nil, err
		}
	}
	answers := x.askAll(out, others)
	best := got
	for _, a := range append(answers, got) {
		if a.absent() {
			x.absentAt = append(x.absentAt, a.replica)
		}
	}
	for _, a := range answers {
		if asked := !errors.Is(a.err, errReplicaDown); asked && !best.accepted() && a.rank() > best.rank() {
			best = a
		}
	}
	if best.replica != got.replica {
		got.response.Body.Close()
		x.replica.Store(best.replica)
		x.reason = router.Fallthrough
	}
	if x.request.Holders = known.Confirmed; best.absent() && len(x.request.Unheard(x.absentAt)) > 0 {
		best.drop()
		x.reason = router.HolderDown
		return nil, x.missing(best)
	}
	if best.absent() && len(known.Confirmed) > 0 { // taken away around us, or by a request of ours that was sent twice
		if err := x.bury(best); err != nil {
			return nil, err
		}
	}
	if !best.accepted() {
		return best.response, best.err
	}
	if !here {
		if err := x.bury(best); err != nil {
			return nil, err
		}
	}
	for _, a := range answers {
		x.confirm(a)
	}
	x.proxy.Record.Told(x.ctx) // whoever asks next may ask any gateway
	return best.response, nil
}

// recorded is what the record knows to be somewhere; the zero value if nothing is, or it was deleted.
func (x *exchange) recorded() ledger.Entry {
	known, ok := x.proxy.Record.Known(x.named())
	if !ok || known.Deleted {
		return ledger.Entry{}
	}
	return known
}

// refusesUnknown: a 401 or 403 to a client with a login, by a replica that is not among those that have it, may be about a
// repository that is not there.
func (x *exchange) refusesUnknown(got answer, known ledger.Entry) bool {
	denied := got.err == nil && (got.response.StatusCode == http.StatusUnauthorized || got.response.StatusCode == http.StatusForbidden)
	return denied && len(known.Confirmed) > 0 && x.in.Header.Get("Authorization") != "" && !x.counts(got.replica.Name, known)
}

// elsewhere are the replicas, in the gateway's order, that have content of their own.
func (x *exchange) elsewhere(asked *router.Replica) (others []*router.Replica) {
	for _, r := range x.request.Gateway {
		if !r.Shares(asked) {
			others = append(others, r)
		}
	}
	return others
}

// bury: from now on what was deleted must not come back from any other replica.
func (x *exchange) bury(by answer) error {
	x.proxy.parts.drop(x.target.repository, x.target.reference)
	if err := x.proxy.Record.Delete(x.named(), by.replica.Name, x.by()); err != nil {
		by.response.Body.Close()
		return fmt.Errorf("%w: %w", errUnrecorded, err)
	}
	return nil
}

func (x *exchange) confirm(a answer) {
	log := x.proxy.Log.With("replica", a.replica.Name, "repository", x.target.repository, "reference", x.target.reference)
	switch {
	case a.accepted() || a.absent():
		x.proxy.Record.Gone(x.named(), a.replica.Name)
		x.proxy.metrics.deletes.WithLabelValues("confirmed").Inc()
		return
	case a.err != nil:
		log.Warn("a replica could not be told of a deletion", "error", a.err)
	default:
		log.Warn("a replica does not delete what another has deleted", "status", a.response.StatusCode)
	}
	x.proxy.metrics.deletes.WithLabelValues("unconfirmed").Inc()
}
