package replication

import (
	"fmt"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// LeavingUploads bounds how long a replica that leaves stays for its uploads and leases.
const LeavingUploads = 15 * time.Minute

// Leaving is what is known of a replica that the fleet is to be rid of.
type Leaving struct {
	Since   time.Time
	Known   bool // the ledger has what the replica has, as far as that can be listed: it was audited since
	Up      bool
	Target  bool // another replica is in service that what only this one has can be copied to
	Only    int  // tags and manifests that no other replica in service has, and that one of them gets
	LeftOut int  // the same, where filters keep them from all others
	Uploads int  // under way there, through this gateway
	Leases  int  // repositories whose writes are still its
}

// WaitsFor is why the replica cannot go yet; none: it may.
func (l Leaving) WaitsFor(now time.Time) (reasons []string) {
	add := func(wait bool, format string, args ...any) {
		if wait {
			reasons = append(reasons, fmt.Sprintf(format, args...))
		}
	}
	add(!l.Known, "an audit of what it has is not over")
	add(!l.Target, "no other replica is in service")
	add(l.Only > 0, "%d tags and manifests that only it has", l.Only)
	add(l.LeftOut > 0, "%d tags and manifests that only it has, and that filters keep from all others", l.LeftOut)
	add(!l.Up && (!l.Known || l.Only > 0), "it is down")
	if now.Sub(l.Since) < LeavingUploads {
		add(l.Uploads > 0, "%d uploads", l.Uploads)
		add(l.Leases > 0, "%d leases", l.Leases)
	}
	return reasons
}

// OnlyAt tells whether only one replica has an entry, of those that are to stay and are in service; and whether one of
// those takes it.
func (f Fleet) OnlyAt(e ledger.Entry, name string) (only, taken bool) {
	leaving := f.replica(name)
	if leaving == nil || e.Deleted || e.Blob || !slices.Contains(e.Confirmed, name) {
		return false, false
	}
	for i := range f.Replicas {
		r := &f.Replicas[i]
		switch {
		case r == leaving || r.Leaving || r.Offline:
		case slices.Contains(e.Confirmed, r.Name), f.sameStorage(r, leaving):
			return false, false
		default:
			taken = taken || r.Writable && !f.leftOut(e, r.Name)
		}
	}
	return true, taken
}

// Staying is a replica in service that is to stay; nil: there is none.
func (f Fleet) Staying() *Replica {
	for i := range f.Replicas {
		if r := &f.Replicas[i]; !r.Leaving && !r.Offline {
			return r
		}
	}
	return nil
}
