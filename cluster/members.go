package cluster

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Member is a live member, for people.
type Member struct {
	Name    string
	Here    string // the replica beside it; may be empty
	Address string // ip:port
	Version string
	Since   time.Time // when we saw it come to life, by our clock
	// File is a hash of what its file has of what all must have alike; "" if it tells none.
	File    string
	Differs []string // in which keys that differs from ours, in their order; "unknown" until that is known
	// Draining: it serves who comes, and has DNS send nobody.
	Draining bool
}

// meta is what a member tells with its address. A reader leaves out what it does not know.
type meta struct {
	Here    string `json:"here,omitempty"`
	Version string `json:"version,omitempty"`
	Boot    string `json:"boot"`

	Hostname string `json:"hostname,omitempty"`
}

// encode leaves out the version of the program rather than exceed what memberlist carries.
func (m meta) encode(limit int) []byte {
	data := marshal(m)
	if len(data) > limit {
		m.Version = ""
		data = marshal(m)
	}
	return data
}

// member is what we know of a live one.
type member struct {
	node  memberlist.Node // a copy: memberlist changes its own under a lock of its own
	meta  meta
	since time.Time
}

func (m member) address() netip.AddrPort { return addressOf(&m.node) }

func addressOf(n *memberlist.Node) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(addr.Unmap(), n.Port)
}

// forgetLost is when a member that is in no file of ours is given up. Who is in it is tried for ever.
const forgetLost = 10 * time.Minute

// members follows memberlist's events, so that no lock of memberlist's is needed to send.
type members struct {
	self string // Static.

	// Guarded by mu.
	mu   sync.Mutex
	live map[string]member
	lost map[netip.AddrPort]time.Time // where members were, and when they went
}

func newMembers(self string) *members {
	return &members{self: self, live: map[string]member{}, lost: map[netip.AddrPort]time.Time{}}
}

func (s *members) joined(n *memberlist.Node, now time.Time) {
	var told meta
	_ = json.Unmarshal(n.Meta, &told) // of a member that tells nothing we believe nothing
	s.mu.Lock()
	defer s.mu.Unlock()
	since := now
	if old, ok := s.live[n.Name]; ok && old.meta.Boot == told.Boot {
		since = old.since
	}
	delete(s.lost, addressOf(n))
	s.live[n.Name] = member{*n, told, since}
}

func (s *members) left(n *memberlist.Node, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, n.Name)
	if n.Name != s.self && len(s.lost) < maxMembers {
		s.lost[addressOf(n)] = now
	}
}

func (s *members) get(name string) (member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.live[name]
	return m, ok
}

func (s *members) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.live)+1)
	for name := range s.live {
		names = append(names, name)
	}
	if _, ok := s.live[s.self]; !ok {
		names = append(names, s.self) // we are alive even while we leave
	}
	slices.Sort(names)
	return names
}

// others are the live members beside us.
func (s *members) others() []member {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]member, 0, len(s.live))
	for name, m := range s.live {
		if name != s.self {
			out = append(out, m)
		}
	}
	return out
}

// at reports whether a live member, we included, is at the address.
func (s *members) at(a netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.live {
		if m.address() == a {
			return true
		}
	}
	return false
}

// missing is where members were that may come back.
func (s *members) missing(now time.Time) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []netip.AddrPort
	for a, since := range s.lost {
		if now.Sub(since) > forgetLost {
			delete(s.lost, a)
		} else {
			out = append(out, a)
		}
	}
	return out
}

// SetDraining has the others told that this member has DNS send nobody to it any more, or that it does again.
func (c *Cluster) SetDraining(draining bool) { c.draining.Store(draining) }

// Members lists the live members by name, this one included.
func (c *Cluster) Members() []Member {
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	out := make([]Member, 0, len(c.members.live))
	for name, m := range c.members.live {
		told := Member{Name: name, Here: m.meta.Here, Address: m.address().String(), Version: m.meta.Version,
			Since: m.since}
		if name == c.cfg.Name {
			told.File, _ = c.files.own()
			told.Draining = c.draining.Load()
		} else {
			told.File, told.Differs, told.Draining = c.files.of(name)
		}
		out = append(out, told)
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return out
}
