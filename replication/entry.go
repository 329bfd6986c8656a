package replication

import (
	"cmp"
	"strings"
)

// Reference is what an entry is about: a tag, a manifest or a blob of a repository.
type Reference struct {
	Repository string
	Name       string // a tag or a digest
	Blob       bool   // the digest is a blob's; of blobs only deletions are of interest
}

func (r Reference) isTag() bool { return !strings.Contains(r.Name, ":") }

// Stamp orders all writes.
type Stamp struct {
	WallMS  int64
	Logical uint32
	Member  string
}

// Compare orders by time, then by name.
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.WallMS, t.WallMS), cmp.Compare(s.Logical, t.Logical), cmp.Compare(s.Member, t.Member))
}

// Entry is the last that was done to a reference, as the ledger has it.
type Entry struct {
	Reference
	Digest    string // what a tag names; for a digest its own
	MediaType string // with which it was pushed; empty: not known
	Stamp     Stamp  // of the write
	Deleted   bool
	Confirmed []string // replicas known to have exactly this, or, if Deleted, to be rid of it
}

// Ledger is the record of what was pushed and deleted. Its calls are bounded in time.
type Ledger interface {
	// Pending lists what a replica has not confirmed, a page at a time; "" is where it begins, and where it ends.
	Pending(replica, after string, limit int) (entries []Entry, next string, err error)
	Get(Reference) (e Entry, known bool, err error)
	// Tagged lists up to limit live tags that name a digest.
	Tagged(repository, digest string, limit int) ([]Entry, error)
	// Confirm changes nothing if something newer than the entry is known.
	Confirm(e Entry, replica string) error
}
