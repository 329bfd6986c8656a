package ledger

import (
	"encoding/binary"
	"strings"
)

// The buckets of the file. All but the first three and the last two are indexes: what they hold follows from the rows.
const (
	bucketMeta      = "meta"
	bucketVector    = "vector"    // origin: number of its last change that we know with all before it
	bucketEntries   = "entries"   // reference: row
	bucketChanges   = "changes"   // origin, number, reference
	bucketPending   = "pending"   // holder, reference
	bucketTags      = "tags"      // repository, digest, tag: of live tags
	bucketOld       = "old"       // time, reference: of what is removed one day
	bucketEvents    = "events"    // number: event
	bucketConflicts = "conflicts" // number: conflict
)

var buckets = []string{
	bucketMeta, bucketVector, bucketEntries, bucketChanges, bucketPending, bucketTags, bucketOld,
	bucketEvents, bucketConflicts,
}

// Separators, below all that a name may hold. The second one keeps a blob apart from a manifest with the same digest.
const (
	separator     = "\x00"
	blobSeparator = "\x01"
)

func (r Reference) key() string {
	if r.Blob {
		return r.Repository + blobSeparator + r.Name
	}
	return r.Repository + separator + r.Name
}

func number(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// indexKey is a place in an index.
type indexKey struct{ bucket, key string }

// indexed is where a row stands in the indexes.
func indexed(r Row, f *fleet) []indexKey {
	var keys []indexKey
	for origin, n := range r.Changes {
		keys = append(keys, indexKey{bucketChanges, origin + separator + number(n) + r.key()})
	}
	if r.isReserved() {
		return keys
	}
	for _, holder := range f.sorted {
		if r.pending(holder) {
			keys = append(keys, indexKey{bucketPending, holder + separator + r.key()})
		}
	}
	if !r.Deleted && !r.IsDigest() {
		keys = append(keys, indexKey{bucketTags, tagsOf(r.Repository, r.Digest) + r.Name})
	}
	if r.Deleted || r.Blob {
		keys = append(keys, indexKey{bucketOld, number(uint64(r.When().UnixMilli())) + r.key()})
	}
	return keys
}

func tagsOf(repository, digest string) string { return repository + separator + digest + separator }

// changeOf is the number and the reference's key of a place in the index of changes.
func changeOf(key, origin string) (n uint64, reference string, ok bool) {
	rest, ok := strings.CutPrefix(key, origin+separator)
	if !ok || len(rest) < 8 {
		return 0, "", false
	}
	return binary.BigEndian.Uint64([]byte(rest[:8])), rest[8:], true
}
