// Package proxy sends registry requests to the replica that router decides on, and streams both ways:
// it classifies, remembers who owns which repository's writes, asks, rewrites what names a place,
// and bounds every wait. docs/request-handling.md tells it in the same order.
package proxy

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream"
	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// Config is what a Proxy needs for good. All fields but Memory, UnseenDeletes, Agreement and
// Writability are required.
type Config struct {
	Hostname      string
	Upstreams     *upstream.Transports
	Memory        Memory
	Pipes         *splice.Pool
	Map           func() *router.Map // of the fleet's replicas
	Fleet         func() *router.Fleet
	Trouble       func(replica string) // must not block
	OwnShortage   func(error) bool     // it comes of what this gateway has run out of
	Ledger        Ledger
	Replication   Replication
	Writes        *transfer.Writes // of all who write to replicas in this gateway's name
	UnseenDeletes bool             // other gateways delete, and the ledger does not hear of it
	Agreement     Agreement        // nil: this gateway decides alone
	Writability   Writability      // nil: replicas are judged by what each repository's writes are answered, alone
	Traffic       Traffic
	Registerer    prometheus.Registerer
	Log           *slog.Logger
}

// Replication brings what clients push to the other replicas, and is told what it needs to know. No method blocks.
type Replication interface {
	// Committed tells of a blob that a client has pushed.
	Committed(repository, digest, replica string)
	// Missed tells that a replica which the ledger says to have something has answered 404.
	Missed(what ledger.Reference, replica string)
	// Brought tells that something is about to be written to a replica, so that it is looked at again when word of its
	// deletion comes late.
	Brought(what ledger.Reference, replica string)
	// Recheck has a replica asked, now and for a while, about what we have taken back there, or could not.
	Recheck(what ledger.Reference, replica string)
}

// Traffic counts the bytes of bodies. No method blocks.
type Traffic interface {
	// Pulled counts what clients get of a replica, nearest to them or not.
	Pulled(replica string, nearest bool, bytes int)
	// Healed counts what goes from a replica to another for a push.
	Healed(source, target string, bytes int)
}

// Proxy is an http.Handler for the clients' listener.
type Proxy struct {
	// Static after New.
	Config
	metrics *metrics
	room    *room
	places  *places

	leases      *leases
	pushes      *pushes
	uploads     *openUploads
	begun       *begunUploads
	resolutions *resolutions
	anonymous   *anonymousAccess
	readOnly    *readOnly
	throttled   *throttled
	brokenOff   *brokenOff
	speeds      *speeds
	looks       *looks
	cache       *contentCache
	written     *written
	healer      *healer

	updating sync.Mutex // Held while settings are replaced.
	settings atomic.Pointer[Settings]
}

// New makes a proxy over the replicas that the file names.
func New(c Config, s Settings) *Proxy {
	if c.Writability == nil {
		c.Writability = unjudged{}
	}
	memory := c.Memory.complete()
	most := memory.Remembered
	p := &Proxy{
		Config: c, leases: newLeases(s.LeaseIdle, c.Agreement, most), pushes: newPushes(s.LeaseIdle, most/8),
		uploads: newOpenUploads(s.LeaseIdle, most/8), resolutions: newResolutions(most / 8),
		anonymous: newAnonymousAccess(), readOnly: newReadOnly(most / 8), throttled: newThrottled(most / 8),
		begun:     newBegunUploads(most),
		brokenOff: newBrokenOff(s.LeaseIdle),
		speeds:    &speeds{of: map[string]speed{}},
		looks:     newLooks(s.Hashing, most, time.Now()),
		cache:     newContentCache(memory.Kept, s.LeaseIdle), written: newWritten(),
	}
	p.room = newRoom(memory, DefaultShare, s.Limits.FirstByte, c.Registerer)
	p.places = newPlaces(1)
	p.metrics = newMetrics(c.Registerer, func() float64 { return float64(p.leases.countHeld()) })
	p.healer = newHealer(p)
	p.use(s)
	p.Registerer.MustRegister(leftCollector{p})
	return p
}

// Leases lists this gateway's own live leases, for people; Lease is that of one repository, or the zero value.
func (p *Proxy) Leases() []LeaseInfo               { return p.leases.list(time.Now()) }
func (p *Proxy) Lease(repository string) LeaseInfo { return p.leases.info(repository, time.Now()) }

// Damaged lists what replicas gave out as something else than its digest says, for people.
func (p *Proxy) Damaged() []Damaged { return p.looks.list() }

// Close ends what is being copied between replicas.
func (p *Proxy) Close() {
	p.healer.close()
	p.cache.close()
	p.Pipes.Close()
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := p.newExchange(w, r)
	defer x.log(time.Now())
	defer x.boundTheRest()
	leave, why := x.admit()
	if why != nil {
		x.refuseAdmission(why)
		return
	}
	defer leave()
	defer x.releaseRoom()
	if why := x.refusal(); why != nil {
		if why != noPath {
			x.drainUnwanted()
		}
		if why.allow != nil {
			w.Header().Set("Allow", strings.Join(why.allow, ", "))
		}
		x.refuse(why.status, why.error)
		return
	}
	x.decided = x.decide()
	x.part = x.newPart()
	if len(x.decided.Tries) == 0 && !x.mayMove() {
		x.refuseToAsk()
		return
	}
	prolongLease, done := x.keepLease()
	defer done()
	x.forward(prolongLease)
}

// namedBy is the replica that a Host of the form <replica>.<hostname> names, "" for any other.
func (p *Proxy) namedBy(host string, fleet *router.Fleet) string {
	name := strings.TrimSuffix(strings.ToLower((&url.URL{Host: host}).Hostname()), ".")
	label, ok := strings.CutSuffix(name, "."+p.Hostname)
	if !ok || fleet.Replica(label) == nil {
		return ""
	}
	return label
}
