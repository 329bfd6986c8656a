package proxy

import "time"

// recent remembers what went through this gateway of late about tags: what each was pushed as, and where it was
// resolved to which digest.
type recent struct {
	pushed   *shelf[pushed]   // by tag
	resolved *shelf[resolved] // by digest
}

// pushed is what a tag was pushed as.
type pushed struct {
	digest  string
	replica string // that accepted it
	at      time.Time
}

type resolved struct {
	replica string
	until   time.Time
}

// followLife is how long after a tag was resolved its digest is asked for at the same place: clients do so at once.
const followLife = time.Minute

func newRecent() *recent { return &recent{newShelf[pushed](), newShelf[resolved]()} }

// current is what a tag was pushed as, while whoever took it owns the repository, and for some time.
func (r *recent) current(tag reference, owner string, idle time.Duration, now time.Time) (p pushed, ok bool) {
	p, ok = r.pushed.get(tag)
	if !ok || p.replica != owner && now.Sub(p.at) >= idle {
		return pushed{}, false
	}
	return p, true
}

// resolve notes that replica said a tag to be this digest.
func (r *recent) resolve(digest reference, replica string, now time.Time) {
	r.resolved.set(digest, resolved{replica, now.Add(followLife)})
}

// follow is the replica that lately resolved a tag to this digest, "" if none did.
func (r *recent) follow(digest reference, now time.Time) string {
	got, ok := r.resolved.get(digest)
	if !ok || now.After(got.until) {
		return ""
	}
	return got.replica
}
