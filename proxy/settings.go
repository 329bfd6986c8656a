package proxy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/proxy/accesslog"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// Settings are what a Proxy goes by that may change while it runs. A request goes by those that it began with. All
// fields but LeaseIdle and Limits may be zero.
type Settings struct {
	Here           string // the replica beside this gateway; "" if there is none
	Paths          []string
	TrustedProxies []netip.Prefix
	LeaseIdle      time.Duration
	OwnerHome      bool
	Limits         Limits
	MaxManifest    int64                       // bytes; a larger one is refused. 0 is transfer.DefaultMaxManifest
	ClientShare    float64                     // of room, and of a replica's connections, for one client; 0 is DefaultShare
	Hashing        float64                     // of one core, for comparing blobs with their digests; 0: none is
	Own            map[string]transfer.Replica // as the gateway logs in there itself, where the file has a login
	AccessLog      func(accesslog.Entry)       // of each request when it has ended: must not block. nil: there is none
	Registries     map[string]Registry         // of all replicas; nil: nothing is known of them

	drains router.Drains // set by Update
}

// Registry is what a proxy has to know of a replica when the file changes.
type Registry struct {
	Incarnation string
	Drains      bool // nothing new starts there
}

// Update has requests go by other settings from now on. What is remembered of replicas that are gone, or have become
// other registries, is forgotten.
func (p *Proxy) Update(s Settings) {
	p.updating.Lock()
	defer p.updating.Unlock()
	before := p.settings.Load()
	p.use(s)
	if before.Registries == nil || s.Registries == nil {
		return
	}
	lost := map[string]bool{}
	for name, was := range before.Registries {
		is, there := s.Registries[name]
		lost[name] = !there || is.Incarnation != was.Incarnation
	}
	if !slices.Contains(slices.Collect(maps.Values(lost)), true) {
		return
	}
	for _, remembered := range []interface{ forget(lost map[string]bool) }{
		p.leases, p.pushes, p.resolutions, p.anonymous, p.readOnly, p.throttled, p.speeds, p.looks, p.begun,
	} {
		remembered.forget(lost)
	}
}

// use needs updating.
func (p *Proxy) use(s Settings) {
	s.MaxManifest = cmp.Or(s.MaxManifest, transfer.DefaultMaxManifest)
	s.ClientShare = cmp.Or(s.ClientShare, DefaultShare)
	s.drains = router.Drains{}
	now, before := time.Now(), p.settings.Load()
	for name, r := range s.Registries {
		since := now
		if before != nil {
			if at, drained := before.drains[name]; drained {
				since = at
			}
		}
		if r.Drains {
			s.drains[name] = since
		}
	}
	p.settings.Store(&s)
	p.leases.drains.Store(&s.drains)
	for _, l := range []*changingDuration{
		&p.leases.idle, &p.pushes.idle, &p.uploads.life, &p.brokenOff.life, &p.cache.life, &p.begun.life,
	} {
		l.set(s.LeaseIdle)
	}
	p.looks.budget.setShare(s.Hashing, now)
	p.room.set(s.ClientShare, s.Limits.FirstByte)
	p.metrics.keep(s.Registries)
	p.places.set(int(s.ClientShare * float64(p.Upstreams.MaxConns())))
}

// isOther reports whether a replica of a decision is gone by now, or has become another registry: what it accepts
// then is in no registry of the fleet.
func (p *Proxy) isOther(r *router.Replica) bool {
	all := p.settings.Load().Registries
	return all != nil && all[r.Name].Incarnation != r.Incarnation
}

// changingDuration is one that others read while it may change.
type changingDuration struct{ ns atomic.Int64 }

func (d *changingDuration) get() time.Duration  { return time.Duration(d.ns.Load()) }
func (d *changingDuration) set(v time.Duration) { d.ns.Store(int64(v)) }
