package ledger

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// Reference is what a fact is about.
type Reference struct {
	Repository string
	Name       string // a tag or a digest
	Blob       bool   // the digest is a blob's, not a manifest's; of blobs only deletions, and what lifts them
}

// IsDigest reports whether it is named by a digest, and not by a tag, which has no colon.
func (r Reference) IsDigest() bool { return strings.Contains(r.Name, ":") }

// IsTag reports whether it is named by a tag.
func (r Reference) IsTag() bool { return !r.IsDigest() }

// Entry is the last that is known to have been done to a reference.
type Entry struct {
	Reference
	Digest          string // what a tag names, or named; a digest's own; empty: an unknown tag was deleted
	MediaType       string
	Config          string // media type of the manifest's config; empty: not known, or it has none
	Size            int64
	Implied         bool      // written with another name that was pushed, which stands for both
	Replica         string    // that accepted it
	Stamp           hlc.Stamp // of the write
	Deleted         bool      // a tombstone
	Confirmed       []string  // sorted: replicas known to have exactly this, or, if Deleted, to be rid of it
	DigestDeletedMS int64     // of a tag, when the digest was deleted that took it along, since 1970; else 0
	Value           string    // of a setting; else empty
}

// When is the time at which what the entry says came to be so; 1970 if it was Found.
func (e Entry) When() time.Time { return time.UnixMilli(max(e.Stamp.WallMS, e.DigestDeletedMS)).UTC() }

// Row is an entry with what gateways need to exchange it. Its Confirmed are holders: incarnations of replicas.
type Row struct {
	Entry
	Seen    []hlc.Stamp       // of each other member, the last write that the writer knew of; the earliest first
	Changes map[string]uint64 // by origin, the number of the last change it made to this entry
}

// Bounds of a row. Merge keeps them, by an order that makes no difference to it.
const (
	maxRepository = 255 // bytes
	maxReference  = 300
	maxMediaType  = 255
	maxMember     = 64 // bytes of a member's or replica's name
	maxConfirmed  = 256
	maxSeen       = 64
	maxChanges    = 256
)

// Merge is what is known of either of two rows of one reference: of two writes the later, of two copies of one write
// all that was confirmed. The order and number of merges make no difference, so that members that have heard the
// same agree, whatever was lost, repeated or late on its way.
func Merge(a, b Row) Row {
	switch order := a.Stamp.Compare(b.Stamp); {
	case order < 0:
		return b
	case order > 0:
		return a
	}
	merged := a
	if compareWrites(a.Entry, b.Entry) < 0 {
		merged = b
	}
	merged.DigestDeletedMS = max(a.DigestDeletedMS, b.DigestDeletedMS)
	merged.Confirmed = bounded(union(a.Confirmed, b.Confirmed), maxConfirmed)
	merged.Seen = mergeSeen(a.Seen, b.Seen)
	merged.Changes = mergeChanges(a.Changes, b.Changes)
	return merged
}

// compareWrites orders different writes with the same stamp: tombstones that were made of different copies of a tag, or
// what a member wrote that lost its file and then its time. One of them has to be taken all the same, and by all.
func compareWrites(a, b Entry) int {
	return cmp.Or(
		compareFlags(a.Deleted, b.Deleted), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.MediaType, b.MediaType),
		cmp.Compare(a.Size, b.Size), cmp.Compare(a.Replica, b.Replica), cmp.Compare(a.Config, b.Config),
		compareFlags(a.Implied, b.Implied), cmp.Compare(a.Value, b.Value))
}

func compareFlags(a, b bool) int {
	number := map[bool]int{true: 1}
	return cmp.Compare(number[a], number[b])
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func bounded[T any](list []T, most int) []T { return list[:min(len(list), most)] }

// mergeSeen keeps the latest of each member, and of too many members the latest.
func mergeSeen(a, b []hlc.Stamp) []hlc.Stamp {
	latest := map[string]hlc.Stamp{}
	for _, s := range slices.Concat(a, b) {
		if have, ok := latest[s.Member]; !ok || s.Compare(have) > 0 {
			latest[s.Member] = s
		}
	}
	all := slices.SortedFunc(maps.Values(latest), hlc.Stamp.Compare)
	return all[max(0, len(all)-maxSeen):]
}

func mergeChanges(a, b map[string]uint64) map[string]uint64 {
	merged := maps.Clone(a)
	for origin, number := range b {
		if merged == nil {
			merged = map[string]uint64{}
		}
		merged[origin] = max(merged[origin], number)
	}
	if len(merged) > maxChanges {
		for _, origin := range slices.Sorted(maps.Keys(merged))[maxChanges:] {
			delete(merged, origin)
		}
	}
	return merged
}

// seenBefore is what the writer of a row has seen that replaces old.
func seenBefore(old Row, member string) []hlc.Stamp {
	if IsFound(old.Stamp) { // or there was none
		return nil
	}
	seen := mergeSeen(old.Seen, []hlc.Stamp{old.Stamp})
	return slices.DeleteFunc(seen, func(s hlc.Stamp) bool { return s.Member == member })
}

// knew: the row's writer knew of the write with that stamp, of the same reference.
func (r Row) knew(stamp hlc.Stamp) bool {
	return stamp.Member == r.Stamp.Member || slices.ContainsFunc(r.Seen, func(s hlc.Stamp) bool {
		return s.Member == stamp.Member && s.Compare(stamp) >= 0
	})
}

// overrules: the row replaces what somebody else has pushed without having known of it. What was found nobody pushed.
func (r Row) overrules(old Row) bool {
	return r.Stamp.Compare(old.Stamp) > 0 && !IsFound(old.Stamp) && !old.Deleted &&
		old.Digest != r.Digest && !r.knew(old.Stamp)
}

// pending: a replica may have to be told. Blobs come with their manifests, so that only their deletions are.
func (r Row) pending(holder string) bool {
	_, confirmed := slices.BinarySearch(r.Confirmed, holder)
	return !confirmed && (r.Deleted || !r.Blob)
}

// finished: nobody needs the row once it is old. A live blob's was there to beat its tombstone.
func (r Row) finished(f *fleet) bool {
	if !r.Deleted {
		return r.Blob
	}
	return !slices.ContainsFunc(f.sorted, r.pending)
}
