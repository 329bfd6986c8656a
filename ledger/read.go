package ledger

import (
	"fmt"
	"strings"
)

// maxList bounds what one call returns.
const maxList = 1000

func atMost(limit int) int { return max(1, min(limit, maxList)) }

// Get is what is known of a reference.
func (l *Ledger) Get(what Reference) (e Entry, known bool, err error) {
	err = l.read(func(t *tx) {
		r, ok := t.row(what.key())
		e, known = t.fleet.entry(r), ok
	})
	return e, known, err
}

// Repositories lists those of which anything is known after one of them, in their order.
func (l *Ledger) Repositories(after string, limit int) (names []string, err error) {
	err = l.read(func(t *tx) {
		for len(names) < atMost(limit) {
			from := ""
			if after != "" {
				from = after + blobSeparator + "\xff" // behind all that it holds
			}
			next := t.keys(bucketEntries, "", from, 1)
			if len(next) == 0 {
				return
			}
			after = next[0][:strings.IndexAny(next[0], separator+blobSeparator)]
			if after != renewals && after != settings {
				names = append(names, after)
			}
		}
	})
	return names, err
}

// List lists what is known of a repository's tags and manifests after one of them, by name. Tombstones are among it.
func (l *Ledger) List(repository, after string, limit int) (entries []Entry, err error) {
	prefix := repository + separator
	err = l.read(func(t *tx) { entries = t.entries(t.keys(bucketEntries, prefix, prefix+after, atMost(limit))) })
	return entries, err
}

// Tagged lists up to limit live tags that name a digest.
func (l *Ledger) Tagged(repository, digest string, limit int) (entries []Entry, err error) {
	prefix := tagsOf(repository, digest)
	err = l.read(func(t *tx) {
		keys := t.keys(bucketTags, prefix, "", atMost(limit))
		for i, k := range keys {
			keys[i] = Reference{Repository: repository, Name: k[len(prefix):]}.key()
		}
		entries = t.entries(keys)
	})
	return entries, err
}

// Cursor is a place in a list. Its zero value is the beginning; and the end, where a next one is asked for.
type Cursor string

// Pending lists what a replica has not confirmed: live manifests and tags, and all tombstones. It reads an index, so
// that what others have not confirmed costs nothing.
func (l *Ledger) Pending(replica string, after Cursor, limit int) (entries []Entry, next Cursor, err error) {
	holder, known := l.fleet.Load().holders[replica]
	if !known {
		return nil, "", fmt.Errorf("%w: no replica %.300q", ErrInvalid, replica)
	}
	prefix := holder + separator
	err = l.read(func(t *tx) {
		keys := t.keys(bucketPending, prefix, prefix+string(after), atMost(limit))
		for i, k := range keys {
			keys[i] = k[len(prefix):]
		}
		if len(keys) == atMost(limit) {
			next = Cursor(keys[len(keys)-1])
		}
		entries = t.entries(keys)
	})
	return entries, next, err
}

func (t *tx) entries(keys []string) (entries []Entry) {
	for _, k := range keys {
		if r, ok := t.row(k); ok {
			entries = append(entries, t.fleet.entry(r))
		}
	}
	return entries
}
