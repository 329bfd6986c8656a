package ledger

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// found is the stamp of what was there before anybody recorded it. It is older than all that a clock makes, so that
// whatever was really pushed or deleted wins over it; and of each digest another one, the same for all who find it, so
// that what is confirmed of one is not taken for confirmed of another.
func found(digest string) hlc.Stamp {
	sum := sha256.Sum256([]byte(digest)) // as it is it would be too long for a member's name
	return hlc.Stamp{Member: "found-" + hex.EncodeToString(sum[:24])}
}

// IsFound reports whether it is such a stamp. Nobody's clock makes one.
func IsFound(s hlc.Stamp) bool { return s.WallMS == 0 && s.Logical == 0 }

// Found: it was there before anybody recorded it, and nobody knows since when.
func (e Entry) Found() bool { return IsFound(e.Stamp) && e.DigestDeletedMS == 0 }

// Found records that a replica was found to have a manifest, by tag or digest, of which nothing is known; of a tag, the
// digest, too. What is known of either stays as it is: a tag of a digest that was deleted is a tombstone at once.
// Nothing has happened, so there is no event.
func (l *Ledger) Found(what Reference, c Content, replica string) (Entry, error) {
	e := entryOf(what, c, replica)
	e.Stamp = found(c.Digest)
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	var now Row
	err := l.submit(func(t *tx) (err error) {
		e.Confirmed = []string{t.fleet.holder(replica)}
		content := e
		content.Name, content.Implied = c.Digest, c.Implied || !what.IsDigest()
		if now, err = t.find(content, Row{}); err == nil && !what.IsDigest() {
			now, err = t.find(e, now)
		}
		e = t.fleet.entry(now)
		return err
	})
	if err != nil {
		return Entry{}, err
	}
	return e, nil
}

// find is what is known of a reference, if need be from now on.
func (t *tx) find(e Entry, digest Row) (Row, error) {
	if old, known := t.row(e.key()); known {
		return old, nil
	}
	row := Row{Entry: e}
	if row.tombstonedBy(digest) {
		row = row.tombstone(digest)
	}
	return row, t.changeRow(Row{}, row)
}

// PushOver records a push as Push does, if what is known of the tag is still old, and the digest was not deleted. Else
// it records nothing, and done is false.
func (l *Ledger) PushOver(old Entry, c Content, replica string) (e Entry, done bool, err error) {
	e = entryOf(old.Reference, c, replica)
	if err := e.check(); err != nil {
		return Entry{}, false, err
	}
	var pushed Row
	err = l.submit(func(t *tx) (err error) {
		now, _ := t.row(e.key())
		content, _ := t.row(Reference{Repository: e.Repository, Name: c.Digest}.key())
		if now.Stamp != old.Stamp || content.Deleted {
			return nil
		}
		if pushed, err = t.push(e, Request{}); err == nil {
			e = t.fleet.entry(pushed)
		}
		return err
	})
	if err != nil || pushed.Name == "" {
		return Entry{}, false, err
	}
	l.publish(Change{[]Entry{e}, true})
	return e, true, nil
}
