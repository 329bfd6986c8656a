package cluster

import (
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// Grant is the word of one member that a repository's writes belong to one replica.
type Grant struct {
	Repository string
	Owner      string    // a replica
	Stamp      hlc.Stamp // when, and by whose word
	Alone      bool      // granted by a member that got no answer from the arbiter
	Revoked    bool      // its owner was lost, or takes no writes
	Last       time.Time
}

// live reports whether the grant still holds: life is the table's. Last is by our own clock.
func (g Grant) live(now time.Time, life time.Duration) bool {
	return !g.Revoked && now.Sub(g.Last) < life
}

// needed: a grant is kept after its end for as long as it may live, lest somebody who did not hear of the end brings it
// back.
func (g Grant) needed(now time.Time, life time.Duration) bool { return now.Sub(g.Last) < 2*life }

// maxGrants bounds what is kept about a repository. More than one is live only when halves of a cluster meet again.
const maxGrants = 4

// Grants is all that is known about one repository, by stamp, the earliest first. Its zero value is empty.
type Grants []Grant

// Merge is what is known of either. The order and number of merges make no difference, so that members that have
// heard the same agree, whatever was lost, repeated or late on its way.
func (s Grants) Merge(other Grants) Grants {
	all := slices.Concat(s, other)
	slices.SortFunc(all, func(a, b Grant) int { return a.Stamp.Compare(b.Stamp) })
	merged := all[:0]
	for _, g := range all {
		if n := len(merged); n > 0 && merged[n-1].Stamp == g.Stamp {
			merged[n-1] = same(merged[n-1], g)
		} else {
			merged = append(merged, g)
		}
	}
	return merged[max(0, len(merged)-maxGrants):]
}

// same joins two copies of one grant. Copies with different owners come from no member of ours; one of the two has
// to be taken all the same, and by all.
func same(a, b Grant) Grant {
	a.Owner = min(a.Owner, b.Owner)
	a.Alone = a.Alone || b.Alone
	a.Revoked = a.Revoked || b.Revoked
	if b.Last.After(a.Last) {
		a.Last = b.Last
	}
	return a
}

// Owner is the grant that holds: the earliest of the live ones, so that when halves meet again what was granted
// first stays.
func (s Grants) Owner(now time.Time, life time.Duration) (Grant, bool) {
	for _, g := range s {
		if g.live(now, life) {
			return g, true
		}
	}
	return Grant{}, false
}

// ended is the grant with that stamp, if it has ended.
func (s Grants) ended(stamp hlc.Stamp) (Grant, bool) {
	for _, g := range s {
		if g.Stamp == stamp && g.Revoked {
			return g, true
		}
	}
	return Grant{}, false
}

// countLive counts the grants that hold or would hold if the earlier ones did not.
func (s Grants) countLive(now time.Time, life time.Duration) int {
	count := 0
	for _, g := range s {
		if g.live(now, life) {
			count++
		}
	}
	return count
}

// collect drops what nobody needs any more.
func (s Grants) collect(now time.Time, life time.Duration) Grants {
	return slices.DeleteFunc(slices.Clone(s), func(g Grant) bool { return !g.needed(now, life) })
}

// adjustLast is theirs as it is to be merged into s. What travels as an age arrives late by the time that it was under
// way; two members that repeat a grant to each other would keep it alive for ever. A copy less than slack younger
// than ours is therefore no news.
func (s Grants) adjustLast(theirs Grant, slack time.Duration) Grant {
	for _, ours := range s {
		if ours.Stamp == theirs.Stamp && theirs.Last.Sub(ours.Last) < slack {
			theirs.Last = ours.Last
		}
	}
	return theirs
}
