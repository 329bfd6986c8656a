package audit

import (
	"slices"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// sighting is what the ledger says of one name, and what a replica has by it.
type sighting struct {
	name      string
	entry     ledger.Entry // of the name
	recorded  bool         // there is one
	confirmed bool         // by the replica
	content   transfer.Content
	there     bool         // the replica has content by the name
	digest    ledger.Entry // of the content's digest
	known     bool         // there is one
}

func sightingOf(known entriesByName, h holding, replica, name string) sighting {
	s := sighting{name: name}
	s.entry, s.recorded = known[name]
	s.confirmed = slices.Contains(s.entry.Confirmed, replica)
	s.content, s.there = h.has[name]
	s.digest, s.known = known[s.content.Digest]
	return s
}

// said is what the ledger says of a name.
type said int

// The closed set of what a ledger says.
const (
	nothing said = iota
	live
	tombstone
)

func (s sighting) said() said {
	switch {
	case !s.recorded:
		return nothing
	case s.entry.Deleted:
		return tombstone
	}
	return live
}

// seen is what a replica has by a name.
type seen int

// The closed set of what a replica has.
const (
	absent        seen = iota
	asRecorded         // the digest that the ledger has by the name
	deletedDigest      // one that was deleted
	otherDigest        // another one that the ledger knows
	newDigest          // one that it does not know
)

func (s sighting) seen() seen {
	switch {
	case !s.there:
		return absent
	case s.said() == live && s.content.Digest == s.entry.Digest:
		return asRecorded
	case s.digest.Deleted:
		return deletedDigest
	case s.known:
		return otherDigest
	}
	return newDigest
}

// reasons has no entry where nothing differs.
var reasons = map[said]map[seen]Reason{
	nothing:   {otherDigest: Unknown, newDigest: Unknown, deletedDigest: Undeleted},
	live:      {otherDigest: Stale, newDigest: Stale, deletedDigest: Stale, absent: Missing},
	tombstone: {otherDigest: Undeleted, newDigest: Undeleted, deletedDigest: Undeleted},
}

// reason is in which way the replica differs from the ledger; "" if it does not. A tag that was as the ledger says, and
// now names a new digest, was pushed out of band, if the replica has that completely.
func (s sighting) reason(complete bool) Reason {
	if s.confirmed && isTag(s.name) && s.seen() == newDigest && complete {
		return OutOfBand
	}
	return reasons[s.said()][s.seen()]
}
