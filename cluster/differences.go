package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A change comes to one gateway after the other: for so long a difference is nobody's mistake. What lasts is said once,
// and once more as a warning.
const (
	sayAfter  = 30 * time.Second
	warnAfter = time.Minute
)

// differences are the keys in which a member's file differs, and what was said of each. They are never changed.
type differences map[string]difference

type difference struct {
	since  time.Time
	said   bool
	warned bool
}

// toTell is what there is to say of a member's file. A key that differs is in one of the first two at a time.
type toTell struct {
	lasts []string // they differ
	warn  []string // they have for longer than a change takes
	ended []string // of those that were said, what is alike again
}

func (t toTell) empty() bool { return len(t.lasts)+len(t.warn)+len(t.ended) == 0 }

// step is what follows when these keys differ now.
func (d differences) step(keys []string, now time.Time) (next differences, t toTell) {
	if len(keys) == 0 && len(d) == 0 {
		return nil, toTell{}
	}
	next = differences{}
	for _, key := range keys {
		of, known := d[key]
		if !known {
			of.since = now
		}
		switch lasted := now.Sub(of.since); {
		case lasted >= warnAfter && !of.warned:
			of.said, of.warned = true, true
			t.warn = append(t.warn, key)
		case lasted >= sayAfter && !of.said:
			of.said = true
			t.lasts = append(t.lasts, key)
		}
		next[key] = of
	}
	for _, key := range slices.Sorted(maps.Keys(d)) {
		if _, still := next[key]; !still && d[key].said {
			t.ended = append(t.ended, key)
		}
	}
	return next, t
}

// mostNamed bounds the keys of one line.
const mostNamed = 10

// named is a list of keys for people.
func named(keys []string) string {
	if more := len(keys) - mostNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(keys[:mostNamed], ", "), more)
	}
	return strings.Join(keys, ", ")
}

func (c *Cluster) tellDifferences(member string, t toTell) {
	if len(t.lasts) > 0 {
		c.log.Info("a member's file differs from this gateway's", "member", member, "keys", named(t.lasts))
	}
	if len(t.warn) > 0 {
		c.log.Warn("a member's file still differs from this gateway's: give all gateways the same one",
			"member", member, "keys", named(t.warn))
	}
	if len(t.ended) > 0 {
		c.log.Info("a member's file is as this gateway's again", "member", member, "keys", named(t.ended))
	}
}

// Differing says, for people, which live members' files differ from ours, and in what.
func (c *Cluster) Differing() (all []string) {
	for _, m := range c.Members() {
		if len(m.Differs) > 0 {
			all = append(all, m.Name+": "+named(m.Differs))
		}
	}
	return all
}
