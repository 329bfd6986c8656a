package proxy

import (
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// followLife is how long after a tag was resolved its digest is asked for at the same place: clients do so at once.
const followLife = time.Minute

// resolutions remembers which replica lately said a tag to be which digest.
type resolutions struct{ of *perRepositoryLRU[resolved] }

type resolved struct {
	replica string
	until   time.Time
}

// newResolutions has room for so many repositories.
func newResolutions(most int) *resolutions { return &resolutions{newPerRepositoryLRU[resolved](most)} }

func (r *resolutions) note(digest ledger.Reference, replica string, now time.Time) {
	r.of.set(digest, resolved{replica, now.Add(followLife)})
}

func (r *resolutions) forget(lost map[string]bool) {
	r.of.deleteFunc(func(known resolved) bool { return lost[known.replica] })
}

// follow is the replica that lately resolved a tag to this digest, "" if none did.
func (r *resolutions) follow(digest ledger.Reference) string {
	got, ok := r.of.get(digest)
	if !ok || time.Now().After(got.until) {
		return ""
	}
	return got.replica
}
