package proxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// turns asks the replicas of a read in turn. One that has not answered when its turn is over is not given up while the
// next is asked: it may be slow, and what it has nowhere else. The first answer that counts is the client's; whoever is
// still asked then is let go.
type turns struct {
	// Static.
	x       *exchange
	tries   []*router.Replica
	out     *http.Request
	begun   time.Time
	bound   time.Duration // within which all get their turn, and those that are down have to answer
	alone   time.Duration // within which those that are up have to
	answers chan turn     // not buffered: what nobody waits for any more is dropped by who brings it
	over    chan struct{} // closed when there is a choice

	// Owned by run, or by wait in its place.
	asked []*asked
	next  int       // of the decision's tries
	ends  time.Time // the turn of the last one asked
	said  *round
}

// asked is one that is being asked.
type asked struct {
	replica *router.Replica
	ctx     context.Context
	cancel  context.CancelCauseFunc
	done    bool
}

// turn is what came of asking one.
type turn struct {
	of *asked
	answer
}

// errNotNeeded ends what is asked of a replica when another has answered.
var errNotNeeded = errors.New("another replica has answered")

// readInTurn asks for a read until there is an answer that counts, or nobody is left to ask.
func (x *exchange) readInTurn(out *http.Request, bound time.Duration) (answer, *round) {
	t := &turns{
		x: x, tries: x.decided.Tries, out: out,
		begun: time.Now(), bound: bound, alone: max(bound, x.settings.Limits.Alone),
		answers: make(chan turn), over: make(chan struct{}), said: newRound(x.decided),
	}
	t.run()
	if t.said.choice.Index < 0 { // the client left before anybody was asked
		gone := failed(t.tries[0], context.Cause(x.ctx))
		gone.reason = x.decided.Reason
		return gone, t.said
	}
	return t.said.chosen(), t.said
}

// run asks the first one itself, since most answer at once. Where that one takes longer, wait goes on beside it.
func (t *turns) run() {
	first := t.prepare()
	if first == nil {
		close(t.over)
		return
	}
	slow := time.AfterFunc(fleetEvery, t.wait)
	got := t.try(0, first)
	if slow.Stop() {
		t.hear(got)
		t.wait()
		return
	}
	t.bring(got)
	<-t.over
}

// wait hears answers, and has others asked, until there is a choice.
func (t *turns) wait() {
	defer t.end()
	look := time.NewTicker(fleetEvery)
	defer look.Stop()
	for t.waiting() && !t.said.choice.Final {
		select {
		case got := <-t.answers:
			t.hear(got)
		case now := <-look.C:
			t.look(now)
		}
	}
}

// begin asks the next one.
func (t *turns) begin() {
	if next := t.prepare(); next != nil {
		place := t.next - 1
		go func() { t.bring(t.try(place, next)) }()
	}
}

// prepare is for the next one to be asked, unless that has the same content as one that does not have it; nil: there is
// none.
func (t *turns) prepare() *asked {
	for ; t.next < len(t.tries) && t.x.ctx.Err() == nil; t.next++ {
		if slices.ContainsFunc(t.said.absentAt(), t.tries[t.next].Shares) {
			continue
		}
		ctx, cancel := context.WithCancelCause(t.out.Context())
		a := &asked{replica: t.tries[t.next], ctx: ctx, cancel: cancel}
		t.asked = append(t.asked, a)
		t.x.progress.asked.Store(a.replica)
		t.next++
		now := time.Now()
		t.ends = now.Add(max(t.begun.Add(t.bound).Sub(now)/2, time.Millisecond)) // half of what is left
		return a
	}
	return nil
}

func (t *turns) try(place int, a *asked) turn {
	got := turn{a, t.x.try(a.ctx, a.cancel, t.said.of, t.out, a.replica)}
	got.Try = place
	return got
}

// bring hands an answer to who waits for it.
func (t *turns) bring(got turn) {
	select {
	case t.answers <- got:
	case <-t.over:
		got.drop()
	}
}

func (t *turns) waiting() bool {
	return slices.ContainsFunc(t.asked, func(a *asked) bool { return !a.done })
}

// hear takes an answer in. If it is not the client's, and it was the last one's turn, the next one is asked.
func (t *turns) hear(got turn) {
	got.of.done = true
	if got.err == nil && cutOff(got.of.ctx) { // look was faster, and has cut off what is left of it
		got.drop()
		try := got.Try
		got.answer = failed(got.Replica, context.Cause(got.of.ctx))
		got.Try = try
	}
	got.Early = t.waiting()
	t.said.add(got.answer)
	last := got.of == t.asked[len(t.asked)-1] || !t.waiting()
	if c := t.said.choice; last && !c.Final && !c.Enough {
		t.begin()
	}
}

// look ends turns, and waits that have become too long.
func (t *turns) look(now time.Time) {
	fleet, waited := t.x.proxy.Fleet(), now.Sub(t.begun)
	for i, a := range t.asked {
		if a.done {
			continue
		}
		isDown, last := !fleet.Replica(a.replica.Name).Readable(), i == len(t.asked)-1
		switch {
		case waited >= t.alone:
			a.cancel(errNoAnswer)
		case isDown && a.replica.Readable() && (waited >= t.bound || t.x.decided.asksOwner()):
			a.cancel(errReplicaDown)
		case isDown && waited >= t.bound:
			a.cancel(errNoAnswer)
		case last && t.next < len(t.tries) && (isDown && a.replica.Readable() || !now.Before(t.ends)):
			t.x.trouble(a.replica, errNoAnswer)
			t.begin()
		}
	}
}

// end lets go of whoever is still asked.
func (t *turns) end() {
	for _, a := range t.asked {
		if !a.done {
			a.cancel(errNotNeeded)
		}
	}
	close(t.over)
}
