package proxy

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
)

// learnOwner remembers what a replica's answer says about who owns the repository, and returns the owner.
// Only what was accepted counts: a stranger's refused push must not steer a repository.
func (x *exchange) learnOwner(got answer) (owner string, err error) {
	p, now, replica, response := x.proxy, time.Now(), got.Replica.Name, got.response
	accepted := got.Accepted()
	if accepted {
		x.noteUpload(response, now)
		x.noteBegun(got.Replica, response, now)
		x.notePart(response, now)
	}
	if x.decided.request.Named != "" {
		if accepted && changes(x.in.Method) {
			x.trust(replica, response)
		}
		return replica, nil
	}
	if !x.vouched(replica, response, now) {
		return replica, nil
	}
	repository := x.target.repository
	if accepted {
		x.notePushed(replica, response, now)
	}
	switch {
	case x.belongsToWriting() && accepted && changes(x.in.Method):
		return x.learnWrite(replica, response, now)
	case x.target.kind == router.Exists && (accepted || got.Absent()):
		p.leases.bind(repository, cmp.Or(got.pushTo, replica), x.client, now)
	case x.target.manifest && accepted && x.reads() && replica != x.decided.request.Gateway[0].Name:
		p.resolutions.note(x.reader(), replica, now)
		digest := response.Header.Get(digestHeader)
		if digest != "" && got.reason != router.Throttled { // else one client's limit would move all others
			p.resolutions.note(ledger.Reference{Repository: repository, Name: strings.Clone(digest)}, replica, now)
		}
	case x.target.kind == router.Ping && accepted:
		for _, name := range pushScopes(x.in.URL.Query()["scope"]) {
			p.leases.bind(strings.Clone(name), x.pushReplica(name, now), x.client, now)
		}
	}
	return replica, nil
}

// learnWrite remembers a write that a replica has accepted, and returns who owns the repository from now on.
func (x *exchange) learnWrite(replica string, response *http.Response, now time.Time) (owner string, err error) {
	p, d, repository := x.proxy, x.decided, x.target.repository
	if d.LeaseEnds {
		p.leases.revoke(repository, d.request.Lease, d.fleet.Replica(d.request.Lease))
		p.Log.Info("lease moved", "repository", repository, "from", d.request.Lease, "to", replica)
	}
	owner = p.leases.accept(x.ctx, repository, replica, x.client, now)
	if x.beginsAgain(replica, d.fleet.Replica(owner)) {
		return owner, nil // what counts is what that one accepts
	}
	if err := x.recordWrite(replica, response); err != nil {
		return "", err
	}
	if x.target.manifest { // whoever hears of it next may ask any gateway
		p.leases.agreed.Spread(x.ctx, repository)
	}
	if x.commits(response) {
		digest := committed(x.values())
		x.bringHome(digest, replica, owner)
		p.Replication.Committed(repository, digest, replica)
	}
	return owner, nil
}

// changes reports whether a method may change something. Some registries, and what stands before them, answer OPTIONS
// with 204 to anybody.
func changes(method string) bool {
	switch method {
	case http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// notePushed remembers where the content of an unfinished push is. A manifest that is pushed by its tag
// ends a push; one by its digest belongs to an index to come.
func (x *exchange) notePushed(replica string, response *http.Response, now time.Time) {
	pushes := x.proxy.pushes
	switch {
	case x.putsManifest() && !x.target.isDigest():
		x.proxy.forgetPush(x.pushKey(), pushes.end(x.pushKey()))
	case x.putsManifest():
		pushes.note(x.pushKey(), x.target.reference, replica, now)
		x.keepManifest(now)
	case x.target.kind == router.Exists, x.decided.saysManifestExists():
		pushes.note(x.pushKey(), x.target.reference, replica, now)
	case x.belongsToWriting() && x.commits(response):
		pushes.note(x.pushKey(), committed(x.values()), replica, now)
	}
}

// trust has a replica's word count again: whoever named it has given it something anew, or taken it away.
func (x *exchange) trust(replica string, response *http.Response) {
	for _, what := range []ledger.Reference{
		x.reference(), {Repository: x.target.repository, Name: response.Header.Get(digestHeader)},
		{Repository: x.target.repository, Name: committed(x.values()), Blob: true},
	} {
		if known, ok := x.proxy.Ledger.Known(what); ok && known.Deleted {
			x.proxy.Ledger.Confirm(what, replica)
		}
	}
}

// pushReplica is where a push of this client would go now.
func (x *exchange) pushReplica(repository string, now time.Time) string {
	r := x.decided.request
	r.Kind, r.Barred = router.Exists, nil
	r.Lease = x.proxy.leases.owner(repository, now)
	r.Bound = x.proxy.leases.boundTo(repository, x.client, now)
	return router.Decide(r).Tries[0].Name
}

const maxScopes = 8 // docker asks for two: the repository, and the one that it mounts from

// pushScopes are the repositories that a token request asks to push to: scope=repository:NAME:pull,push
// (distribution's token specification; several scopes in one parameter are split by spaces).
func pushScopes(params []string) []string {
	var names []string
	for scope := range strings.FieldsSeq(strings.Join(params, " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		i := strings.LastIndexByte(rest, ':')
		if kind != "repository" || i < 0 || len(names) == maxScopes {
			continue
		}
		name, actions := rest[:i], ","+rest[i+1:]+","
		if strings.Contains(actions, ",push,") && oci.IsRepository(name) {
			names = append(names, name)
		}
	}
	return names
}
