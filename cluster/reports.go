package cluster

import "sync"

// memberReports holds the newest report of each member, ours included. A report is never changed, only replaced.
type memberReports struct {
	mu       sync.Mutex
	byMember map[string]memberReport // Guarded by mu. At most maxMembers.
}

// set makes replicas our report, and tells whether that changes anything.
func (p *memberReports) set(member, boot string, replicas map[string]Report) (memberReport, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.byMember[member]
	if old.Version > 0 && equalReports(old.Replicas, replicas) {
		return old, false
	}
	r := memberReport{member, boot, old.Version + 1, cloneReports(replicas)}
	p.byMember[member] = r
	return r, true
}

func (p *memberReports) get(member string) memberReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byMember[member]
}

// keepNewest keeps r unless a newer one of the same process is known. Whether it is a live member's the caller has
// found out.
func (p *memberReports) keepNewest(r memberReport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.byMember[r.Member]; old.Boot != r.Boot || old.Version < r.Version {
		p.byMember[r.Member] = r
	}
}

func (p *memberReports) forget(member string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byMember, member)
}

func (p *memberReports) all() []memberReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]memberReport, 0, len(p.byMember))
	for _, r := range p.byMember {
		out = append(out, r)
	}
	return out
}
