package proxy

import (
	"errors"
	"net/http"
	"slices"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// answer is what came of asking one replica: a response or an error, and what router makes of it.
type answer struct {
	router.Heard
	reason   router.Reason // for which it was chosen
	response *http.Response
	err      error
	pushTo   string // the replica that a push goes to, where this one said that something exists
}

// failed is an answer that is none.
func failed(replica *router.Replica, err error) answer {
	return answer{err: err, Heard: router.Heard{
		Replica: replica, Older: errors.Is(err, errOlder),
		Refused: errors.As(err, new(guardError)) && (!errors.Is(err, errUnsaid) || transfer.Throttled(err)),
	}}
}

// drop lets go of an answer that is not the client's.
func (a answer) drop() {
	if a.response != nil {
		a.response.Body.Close()
	}
}

// round is what was heard when the replicas of a decision were asked, each once.
type round struct {
	of     *decision
	heard  []router.Heard
	kept   []answer // in the same places; those that cannot become the client's any more are dropped
	choice router.Choice
}

func newRound(of *decision) *round { return &round{of: of, choice: of.Choose(nil)} }

// add takes in one answer more, and drops those that do not count any more.
func (r *round) add(got answer) {
	r.heard, r.kept = append(r.heard, got.Heard), append(r.kept, got)
	r.choice = r.of.Choose(r.heard)
	r.dropAllBut(r.choice.Candidates...)
}

func (r *round) dropAllBut(places ...int) {
	for i := range r.kept {
		if !slices.Contains(places, i) {
			r.kept[i].drop()
		}
	}
}

// chosen is the client's answer. All others are dropped.
func (r *round) chosen() answer {
	r.dropAllBut(r.choice.Index)
	got := r.kept[r.choice.Index]
	got.reason = r.choice.Reason
	return got
}

// absentAt are the replicas that said that they do not have what is asked for.
func (r *round) absentAt() []*router.Replica { return r.replicas(router.Heard.Absent) }

// deniedBy are the replicas that said so, perhaps, by a 401 or 403.
func (r *round) deniedBy() []*router.Replica {
	return r.replicas(func(h router.Heard) bool { return h.Denied })
}

func (r *round) replicas(which func(router.Heard) bool) (replicas []*router.Replica) {
	for _, h := range r.heard {
		if which(h) {
			replicas = append(replicas, h.Replica)
		}
	}
	return replicas
}

// without names the replicas that do not have what is asked for, by their word, with those that share with them.
func (r *round) without() (names []string) {
	said := slices.Concat(r.absentAt(), r.deniedBy())
	for i := range r.of.fleet.Replicas() {
		if x := &r.of.fleet.Replicas()[i]; slices.ContainsFunc(said, x.Shares) {
			names = append(names, x.Name)
		}
	}
	return names
}
