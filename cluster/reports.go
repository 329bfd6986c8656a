package cluster

import "sync"

// opinions holds the newest opinion of each member, ours included. An opinion is never changed, only replaced.
type opinions struct {
	mu       sync.Mutex
	byMember map[string]opinion // Guarded by mu. At most maxMembers.
}

// set makes views our opinion, and reports whether that changes anything.
func (p *opinions) set(member, boot string, views map[string]View) (opinion, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.byMember[member]
	if old.Version > 0 && equalViews(old.Views, views) {
		return old, false
	}
	o := opinion{member, boot, old.Version + 1, cloneViews(views)}
	p.byMember[member] = o
	return o, true
}

func (p *opinions) get(member string) opinion {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byMember[member]
}

// learn keeps o unless a newer one of the same process is known. Whether it is a live member's the caller has found out.
func (p *opinions) learn(o opinion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.byMember[o.Member]; old.Boot != o.Boot || old.Version < o.Version {
		p.byMember[o.Member] = o
	}
}

func (p *opinions) forget(member string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byMember, member)
}

func (p *opinions) all() []opinion {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]opinion, 0, len(p.byMember))
	for _, o := range p.byMember {
		out = append(out, o)
	}
	return out
}
