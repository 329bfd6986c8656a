package cluster

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a gateway does not fit in.
const (
	misfitKey      = "key"      // it has another key
	misfitHostname = "hostname" // it serves another name
	misfitClock    = "clock"    // its clock is another one
)

const (
	misfitLife = time.Minute      // how long it is told, and until it is logged again
	mostSkew   = 20 * time.Second // of two clocks, the way of the message included
)

// misfits are gateways that are to be members and are none, or are wrong ones. Each is told once a minute.
type misfits struct {
	// Static.
	log   *slog.Logger
	count *prometheus.CounterVec
	now   func() time.Time

	mu   sync.Mutex
	seen map[string]misfit // by kind and gateway. Guarded by mu.
}

type misfit struct {
	text string
	last time.Time // when it was seen
	told time.Time // when it was logged
}

func (m *misfits) found(kind, who, text string) {
	m.count.WithLabelValues(kind).Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	known, ok := m.seen[kind+" "+who]
	if !ok && len(m.seen) >= maxMembers {
		m.forget(now)
		if len(m.seen) >= maxMembers {
			return
		}
	}
	known.text, known.last = text, now
	if now.Sub(known.told) >= misfitLife {
		known.told = now
		m.log.Error("a gateway does not fit into the cluster: "+text, "gateway", who, "what", kind)
	}
	m.seen[kind+" "+who] = known
}

// forget needs mu.
func (m *misfits) forget(now time.Time) {
	for key, known := range m.seen {
		if now.Sub(known.last) >= misfitLife {
			delete(m.seen, key)
		}
	}
}

// Misfits says which gateways did not fit in during the last minute, and why.
func (c *Cluster) Misfits() []string {
	m := c.misfits
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(m.now())
	var all []string
	for key, known := range m.seen {
		_, who, _ := strings.Cut(key, " ")
		all = append(all, who+": "+known.text)
	}
	slices.Sort(all)
	return all
}

// unopened are memberlist's words for what comes from somebody with another key, or none.
var unopened = []string{
	"no installed keys could decrypt", "remote state is encrypted and encryption is not configured",
	"encryption is configured but remote state is not encrypted",
}

// line takes one of memberlist's: it tells of keys that differ in no other way.
func (m *misfits) line(text string) {
	lower := strings.ToLower(text)
	for _, words := range unopened {
		if strings.Contains(lower, words) {
			_, from, _ := strings.Cut(text, "from=")
			from, _, _ = strings.Cut(from, " ")
			host, _ := splitPeer(from)
			m.found(misfitKey, host, "its messages do not open with our key: compare the files that cluster.key names")
			return
		}
	}
}

// fits looks at a member's word about itself.
func (m *misfits) fits(name string, told meta, hostname string) {
	if told.Hostname != "" && told.Hostname != hostname {
		m.found(misfitHostname, name, fmt.Sprintf(
			"it serves %s and this gateway %s: they have different files", told.Hostname, hostname))
	}
}

// clock compares a member's time with ours. Leases and tags written on both sides of a cut are ordered by it.
func (m *misfits) clock(name string, theirs int64) {
	if theirs == 0 {
		return // an older version's
	}
	skew := time.UnixMilli(theirs).Sub(m.now())
	if skew.Abs() > mostSkew {
		m.found(misfitClock, name, fmt.Sprintf(
			"its clock is %v from ours: have both follow the time (NTP)", skew.Round(time.Second)))
	}
}
