package proxy

import (
	"errors"
	"net/http"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// ask sends a request to the replicas of its decision, as far as it is safe to, and returns the answer that the client
// gets. It is the story of a request from its decision to the answer.
func (x *exchange) ask(out *http.Request) (*http.Response, error) {
	begun := time.Now()
	deadline := begun.Add(x.patience())
	defer x.allowDeletes()
	if x.putsManifest() {
		if err := x.readManifest(out); err != nil {
			return nil, err
		}
	}
	got, said := x.askInTurn(out, deadline)
	for x.refusedAsReadOnly(got) { // each replica once, since it is known for what it is then
		x.noteReadOnly(got)
		x.decided = x.decide()
		got.drop()
		got, said = x.askInTurn(out, deadline)
	}
	got, said = x.waitOut(out, got, said, begun)
	if x.awaitHealth(got, deadline) {
		if x.decided = x.decide(); len(x.decided.Tries) > 0 {
			got, said = x.askInTurn(out, later(deadline, time.Now().Add(time.Second)))
		}
	}
	got = x.begunAgain(out, got)
	x.noteDiskFull(got)
	x.reportMissed(said.absentAt())
	got = x.existsElsewhere(out, got)
	got = x.unlessHolderDown(x.unlessDamaged(got), said)
	x.progress.asked.Store(got.Replica)
	x.reason = got.reason
	switch {
	case got.err != nil:
		return nil, got.err
	case x.deletes():
		return x.deleteEverywhere(out, got)
	}
	return x.acceptOnce(out, got)
}

// patience is within which a read has asked all that may have it.
func (x *exchange) patience() time.Duration {
	if x.lists() {
		return x.settings.Limits.Lists
	}
	return x.settings.Limits.FirstByte
}

// lists tags or repositories.
func (x *exchange) lists() bool {
	return x.target.kind == router.Fresh && x.target.reference == "" || x.in.URL.Path == "/v2/_catalog"
}

// askInTurn asks the replicas of the decision, each once, until one has the answer.
func (x *exchange) askInTurn(out *http.Request, deadline time.Time) (answer, *round) {
	switch {
	case len(x.decided.Tries) == 0: // the upload is begun again
		return failed(nil, errUploadLost), newRound(x.decided)
	case x.reads():
		return x.readInTurn(out, time.Until(deadline))
	}
	return x.writeInTurn(out)
}

// writeInTurn asks one after the other, as far as that does no harm. Those that are down share what one would be given:
// it is likelier that they are than that all the probes are wrong.
func (x *exchange) writeInTurn(out *http.Request) (answer, *round) {
	d, said := x.decided, newRound(x.decided)
	lastResort := time.Now().Add(x.settings.Limits.Alone)
	for i, replica := range d.Tries {
		wait := never
		switch {
		case d.Reason == router.LastResort && x.repeatable() && x.part == nil: // its client may be slow
			wait = max(time.Until(lastResort)/time.Duration(len(d.Tries)-i), time.Millisecond)
		case x.beginsUpload():
			wait = x.settings.Limits.Alone
		}
		got := x.askOne(out, replica, wait)
		got.Try = i
		said.add(got)
		if said.choice.Final || !x.repeatable() || x.ctx.Err() != nil {
			break
		}
	}
	return said.chosen(), said
}

// beginsUpload reports whether the request only begins an upload: nothing is stored yet, so there is no reason to wait
// for long.
func (x *exchange) beginsUpload() bool {
	return x.in.Method == http.MethodPost && x.target.kind == router.Write && x.in.ContentLength == 0
}

// repeatable reports whether the request can be sent again elsewhere without harm. Reads do none; an upload that was
// started and not used is swept up by its registry; a manifest, and a blob that comes with its POST, is what its digest
// says wherever it is put.
func (x *exchange) repeatable() bool {
	return x.put.body != nil || x.reads() || x.beginsUpload() || x.postsUpload() && x.part != nil && x.part.isWhole()
}

// acceptOnce makes an answer the client's. Where two pushes began at once at two replicas, the first accepted
// one owns the repository, and the other is begun again there before its client sends a byte. Where
// gateways agree on an owner that this one cannot reach, the push goes on where it was accepted.
func (x *exchange) acceptOnce(out *http.Request, got answer) (*http.Response, error) {
	name, err := x.accept(got)
	owner := x.decided.fleet.Replica(name)
	if err != nil || !x.beginsAgain(got.Replica.Name, owner) {
		return got.response, err
	}
	got.drop()
	x.reason = router.Leased
	x.proxy.metrics.begunAgain.Inc()
	second := x.askOne(out, owner, x.settings.Limits.Alone)
	if second.err != nil {
		return nil, second.err
	}
	_, err = x.accept(second)
	return second.response, err
}

// beginsAgain reports whether a write that one replica accepted belongs to another, and can be sent there.
func (x *exchange) beginsAgain(accepted string, owner *router.Replica) bool {
	return owner.Readable() && owner.Name != accepted && !owner.ReadOnly && x.target.kind == router.Write &&
		x.repeatable()
}

// errReplaced is for what a registry has accepted that the fleet has no more.
var errReplaced = errors.New("the replica's registry was replaced by another one meanwhile: send it again")

// accept makes an answer fit for the client, and only then learns from it: what we refuse to pass on has
// not been accepted as far as the client knows.
func (x *exchange) accept(got answer) (owner string, err error) {
	if changes(x.in.Method) && got.Accepted() && x.proxy.isOther(got.Replica) {
		got.drop()
		return "", errReplaced
	}
	if err = x.rewriteLocation(got.response, got.Replica); err == nil {
		owner, err = x.learnOwner(got)
	}
	if err != nil {
		got.drop()
		return "", err
	}
	return owner, nil
}
