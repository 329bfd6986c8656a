package proxy

import (
	"net/http"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
)

// deletes reports whether content is to go on every replica. Whoever names a replica means that one.
func (x *exchange) deletes() bool {
	return x.in.Method == http.MethodDelete && x.decided.request.Named == "" && (x.target.manifest || x.target.blob)
}

// deleteEverywhere deletes on all other replicas what the first has deleted or does not have. A refusal is the answer,
// and nothing else is asked. The client is told of success if any replica had it, and of absence only if nobody may
// still have it.
func (x *exchange) deleteEverywhere(out *http.Request, first answer) (*http.Response, error) {
	here, known := first.Accepted(), x.recorded()
	if !here && !first.Absent() && !x.refusesUnknown(first, known) {
		return first.response, nil
	}
	others := x.decided.othersThan(first.Replica)
	if here {
		if _, err := x.accept(first); err != nil {
			return nil, err
		}
		if err := x.recordDeletion(first); err != nil {
			return nil, err
		}
	}
	all := append([]answer{first}, x.askAll(out, others)...)
	got := all[router.ChooseDeletion(heardOf(all))]
	if got.Replica != first.Replica {
		first.drop()
		x.progress.asked.Store(got.Replica)
		x.reason = router.Fallthrough
	}
	if got.Absent() {
		if err := x.heldElsewhere(known, all); err != nil {
			got.drop()
			x.reason = router.HolderDown
			return nil, err
		}
	}
	// What is absent was taken away around us, or by a request of ours that was sent twice.
	if !here && (got.Accepted() || got.Absent() && len(known.Confirmed) > 0) {
		if err := x.recordDeletion(got); err != nil {
			return nil, err
		}
	}
	if !got.Accepted() {
		return got.response, got.err
	}
	for _, a := range all[1:] {
		x.confirmDeletion(a)
	}
	x.proxy.Ledger.Told(x.ctx) // whoever asks next may ask any gateway
	return got.response, nil
}

func heardOf(answers []answer) []router.Heard {
	heard := make([]router.Heard, len(answers))
	for i, a := range answers {
		heard[i] = a.Heard
	}
	return heard
}

// heldElsewhere is why a deletion is not answered by 404: a replica that has it could not be asked.
func (x *exchange) heldElsewhere(known ledger.Entry, all []answer) error {
	r := x.decided.request
	r.Holders = known.Confirmed
	var absentAt []*router.Replica
	for _, a := range all {
		if a.Absent() {
			absentAt = append(absentAt, a.Replica)
		}
	}
	return unheardError(r.Unheard(absentAt))
}

// recorded is what the ledger knows to be somewhere; the zero value if nothing is, or it was deleted.
func (x *exchange) recorded() ledger.Entry {
	known, ok := x.proxy.Ledger.Known(x.reference())
	if !ok || known.Deleted {
		return ledger.Entry{}
	}
	return known
}

// refusesUnknown reports whether a refusal may be about a repository that is not there: a 401 or 403 to a client with a
// login, by a replica that is not among those that have it.
func (x *exchange) refusesUnknown(got answer, known ledger.Entry) bool {
	denied := got.Status == http.StatusUnauthorized || got.Status == http.StatusForbidden
	return denied && len(known.Confirmed) > 0 && x.in.Header.Get("Authorization") != "" &&
		!x.hasWord(x.decided.fleet, got.Replica.Name, known)
}

// recordDeletion records what was deleted: from now on it must not come back from any other replica.
func (x *exchange) recordDeletion(by answer) error {
	x.proxy.pushes.forgetContent(x.target.repository, x.target.reference)
	err := x.proxy.Ledger.Delete(x.reference(), by.Replica.Name, x.by())
	if err != nil {
		by.drop()
	}
	return unrecorded(err)
}

// confirmDeletion has a replica's word count again if it is rid of what another has deleted.
func (x *exchange) confirmDeletion(a answer) {
	log := x.proxy.Log.With(
		"replica", a.Replica.Name, "repository", x.target.repository, "reference", x.target.reference)
	switch {
	case a.Accepted() || a.Absent():
		x.proxy.Ledger.Gone(x.reference(), a.Replica.Name)
		x.proxy.metrics.deletes.WithLabelValues("confirmed").Inc()
		return
	case a.err != nil:
		log.Warn("a replica could not be told of a deletion", "error", a.err)
	default:
		log.Warn("a replica does not delete what another has deleted", "status", a.Status)
	}
	x.proxy.metrics.deletes.WithLabelValues("unconfirmed").Inc()
}
