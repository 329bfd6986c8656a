package ledger

import (
	"strings"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// tombstoneMark makes of a member's name one that no member has, since names are DNS labels, and the next one in their
// order.
const tombstoneMark = "!"

// tombstoneStamp is the first stamp after s: of the deletion of a tag that was written then, with its digest.
func tombstoneStamp(s hlc.Stamp) hlc.Stamp {
	s.Member += tombstoneMark
	return s
}

// Gateway is the member that wrote it.
func (e Entry) Gateway() string { return strings.TrimSuffix(e.Stamp.Member, tombstoneMark) }

// DeletedWithDigest reports whether it is a tag that was deleted with its digest. Its stamp is not of when that was.
func (e Entry) DeletedWithDigest() bool { return strings.HasSuffix(e.Stamp.Member, tombstoneMark) }

// tombstonedBy: the row is a tag that names what tombstone says to have been deleted since.
func (r Row) tombstonedBy(tombstone Row) bool {
	return !r.Deleted && !r.IsDigest() &&
		tombstone.Deleted && !tombstone.Blob && tombstone.Repository == r.Repository &&
		tombstone.Name == r.Digest && tombstone.Stamp.Compare(r.Stamp) > 0
}

// tombstone is the tag's tombstone, where tombstone is that of its digest. Its stamp follows the tag's own at once, so
// that all who make one make the same, and no later than that: whoever has heard of the deletion may not have heard yet
// that the tag was pushed anew before it. The replica that deleted the digest is rid of the tag if it is known to have
// had it.
func (r Row) tombstone(tombstone Row) Row {
	if IsFound(r.Stamp) { // it may have been found since
		return Row{Entry: Entry{
			Reference: r.Reference, Digest: r.Digest, Replica: tombstone.Replica, Stamp: tombstoneStamp(r.Stamp),
			Deleted: true, DigestDeletedMS: tombstone.Stamp.WallMS,
		}}
	}
	var confirmed []string
	for _, holder := range r.Confirmed {
		if replicaOf(holder) == tombstone.Replica {
			confirmed = append(confirmed, holder)
		}
	}
	r.Confirmed = confirmed
	r.Seen = seenBefore(r, "")
	r.Stamp, r.Replica, r.Deleted, r.Changes = tombstoneStamp(r.Stamp), tombstone.Replica, true, nil
	r.DigestDeletedMS = tombstone.Stamp.WallMS
	return r
}

// tombstoneTags makes tombstones of the tags that name what was deleted before the tombstone was made.
func (t *tx) tombstoneTags(tombstone Row) (tombstones []Row, err error) {
	if tombstone.Blob || !tombstone.IsDigest() || !tombstone.Deleted {
		return nil, nil
	}
	prefix := tagsOf(tombstone.Repository, tombstone.Digest)
	for after := ""; ; {
		keys := t.keys(bucketTags, prefix, after, 1000)
		if len(keys) == 0 {
			return tombstones, nil
		}
		for _, k := range keys {
			after = k
			tag, ok := t.row(Reference{Repository: tombstone.Repository, Name: k[len(prefix):]}.key())
			if !ok || !tag.tombstonedBy(tombstone) {
				continue
			}
			row := tag.tombstone(tombstone)
			if err := t.changeRow(tag, row); err != nil {
				return nil, err
			}
			tombstones = append(tombstones, row)
		}
	}
}

// applyTombstones makes them where a digest was deleted on one side of a cut and tagged before on the other.
func (t *tx) applyTombstones(row *Row) (tombstones []Row, err error) {
	if row.Deleted {
		return t.tombstoneTags(*row)
	}
	digest, ok := t.row(Reference{Repository: row.Repository, Name: row.Digest}.key())
	if !ok || !row.tombstonedBy(digest) {
		return nil, nil
	}
	tag := *row
	*row = tag.tombstone(digest)
	return nil, t.changeRow(tag, *row)
}
