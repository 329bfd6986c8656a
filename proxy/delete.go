package proxy

import (
	"errors"
	"net/http"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// deletes: content goes on every replica. Whoever names a replica means that one.
func (x *exchange) deletes() bool {
	return x.in.Method == http.MethodDelete && x.request.Named == "" && (x.target.manifest || x.target.blob)
}

// settleDelete deletes on all other replicas what the first has deleted or does not have. A refusal is the answer, and nothing
// else is asked. The client is told of success if any replica had it.
func (x *exchange) settleDelete(out *http.Request, got answer) (*http.Response, error) {
	here := got.accepted()
	if !here && !got.absent() {
		return got.response, nil
	}
	others := x.elsewhere(got.replica)
	if here {
		if _, err := x.take(got); err != nil {
			return nil, err
		}
		x.bury(others)
	}
	answers := x.askAll(out, others)
	best := got
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
	if !best.accepted() {
		return best.response, best.err
	}
	if !here {
		x.bury(others)
	}
	for _, a := range answers {
		x.confirm(a)
	}
	return best.response, nil
}

// elsewhere are the replicas, in the gateway's order, that have content of their own.
func (x *exchange) elsewhere(asked *router.Replica) (others []*router.Replica) {
	for _, r := range x.request.Gateway {
		if !r.Shares(asked) {
			others = append(others, r.Replica)
		}
	}
	return others
}

// bury: from now on what was deleted must not come back from any of these.
func (x *exchange) bury(from []*router.Replica) {
	var names []string
	for _, r := range from {
		names = append(names, r.Name)
	}
	what := reference{x.target.repository, x.target.reference}
	x.proxy.tombstones.add(what, names, time.Now())
	x.proxy.parts.drop(what.repository, what.name)
	if x.target.manifest && !x.target.isDigest() {
		x.proxy.recent.pushed.remove(what)
	}
}

func (x *exchange) confirm(a answer) {
	what := reference{x.target.repository, x.target.reference}
	log := x.proxy.Log.With("replica", a.replica.Name, "repository", what.repository, "reference", what.name)
	switch {
	case a.accepted() || a.absent():
		for _, r := range x.request.Gateway {
			if r.Shares(a.replica) {
				x.proxy.tombstones.trust(what, r.Name)
			}
		}
		x.proxy.metrics.deletes.WithLabelValues("confirmed").Inc()
		return
	case a.err != nil:
		log.Warn("a replica could not be told of a deletion", "error", a.err)
	default:
		log.Warn("a replica does not delete what another has deleted", "status", a.response.StatusCode)
	}
	x.proxy.metrics.deletes.WithLabelValues("unconfirmed").Inc()
}
