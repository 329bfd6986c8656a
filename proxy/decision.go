package proxy

import (
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// decision is where a request goes, and of what that was decided. It never changes: what is decided anew is another
// one.
type decision struct {
	router.Decision
	fleet   *router.Fleet
	request router.Request
}

// decideWithout is the decision where these replicas take no writes. It may be one that leaves what binds the client out.
func (x *exchange) decideWithout(failing []string, unbound bool, now time.Time) *decision {
	p, fleet := x.proxy, x.present(failing, now)
	placed := p.Map()
	client, _ := placed.Order(fleet, x.client)
	gateway := placed.OrderHere(fleet, x.settings.Here)
	if gateway == nil {
		gateway = client
	}
	r := router.Request{
		Kind:      x.target.kind,
		Head:      x.in.Method == http.MethodHead,
		Named:     p.namedBy(x.in.Host, fleet),
		Adds:      x.adds(),
		URLOwner:  x.ownerIn(fleet, now),
		Client:    client,
		Gateway:   gateway,
		OwnerHome: x.settings.OwnerHome,
		Throttled: p.throttled.names(clientPrefix(x.client), now),
	}
	if x.target.manifest || x.target.blob {
		r.URLOwner = "" // it stands in the URLs of uploads and pages only; clients of mirrors copy it from there
	}
	if repository := x.target.repository; repository != "" {
		r.Lease = p.leases.owner(repository, now)
		if !unbound {
			r.Bound = p.leases.boundTo(repository, x.client, now)
		}
		if x.reads() {
			x.consultLedger(fleet, &r)
		}
	}
	return &decision{router.Decide(r), fleet, r}
}

// adds reports whether the client begins an upload here or puts a manifest. What another gateway sends by a replica's
// name was decided there.
func (x *exchange) adds() bool {
	return x.target.kind == router.Write && x.in.Method != http.MethodDelete && x.in.Header.Get(upstream.HopHeader) == ""
}

// consultLedger fills in what the decision about a read needs of what is known of that: the ledger is asked once.
func (x *exchange) consultLedger(fleet *router.Fleet, r *router.Request) {
	if digest := x.target.belongsTo(); digest != "" {
		r.Follow = x.proxy.resolutions.follow(ledger.Reference{Repository: x.target.repository, Name: digest})
	}
	if !x.target.manifest && !x.target.blob {
		return
	}
	if x.target.blob {
		r.Damaged = x.proxy.looks.damagedAt(x.target.reference, time.Now())
	}
	known, ok := x.proxy.Ledger.Known(x.reference())
	switch {
	case ok && known.Deleted:
		r.Barred = x.withoutWord(fleet, known)
	case ok:
		r.Holders = known.Confirmed
	}
}

// holds reports whether a replica is known to have what is asked for, or shares with one that is.
func (d *decision) holds(r *router.Replica) bool {
	return slices.ContainsFunc(d.request.Holders, func(name string) bool { return r.Shares(d.fleet.Replica(name)) })
}

// asksOwner reports whether the request writes, or is what a client that pushes asks before it writes.
func (d *decision) asksOwner() bool {
	return d.request.Named == "" && (d.request.Kind == router.Write || d.request.Kind == router.Exists)
}

// saysManifestExists reports whether a client that pushes asks if a manifest exists: only the replica that the push
// goes to tells it so.
func (d *decision) saysManifestExists() bool {
	return d.request.Kind == router.Pull && d.request.Head && d.request.Bound != ""
}

// othersThan are the replicas, in the gateway's order, that have content of their own.
func (d *decision) othersThan(asked *router.Replica) (others []*router.Replica) {
	for _, r := range d.request.Gateway {
		if !r.Shares(asked) {
			others = append(others, r)
		}
	}
	return others
}

// hasWord reports whether a replica's word about something counts: it is known to be up to date, or is the owner that
// gateways agree on, who may have got it anew through another one of them before we hear of that.
func (x *exchange) hasWord(fleet *router.Fleet, replica string, about ledger.Entry) bool {
	of := fleet.Replica(replica)
	return replica == x.proxy.leases.agreed.Owner(x.target.repository) ||
		slices.ContainsFunc(about.Confirmed,
			func(name string) bool { return name == replica || of.Shares(fleet.Replica(name)) })
}

// withoutWord are the replicas whose word about it does not count.
func (x *exchange) withoutWord(fleet *router.Fleet, about ledger.Entry) (names []string) {
	for _, r := range fleet.Replicas() {
		if !x.hasWord(fleet, r.Name, about) {
			names = append(names, r.Name)
		}
	}
	return names
}
