package ledger

import (
	"slices"
	"time"
)

// Content is what a name is given to.
type Content struct {
	Digest, MediaType string
	Config            string // media type of a manifest's config; empty: it has none
	Size              int64  // bytes
	Implied           bool   // of a manifest that is pushed, and not pushed itself
}

func entryOf(what Reference, c Content, replica string) Entry {
	return Entry{
		Reference: what, Digest: c.Digest, MediaType: c.MediaType, Config: c.Config, Size: c.Size, Implied: c.Implied,
		Replica: replica,
	}
}

// Push records that replica accepted a manifest, by tag or digest; of a tag, the digest, too. It is durable when it
// returns. A blob is recorded only where it has a tombstone, which it lifts; else the entry is empty.
func (l *Ledger) Push(what Reference, c Content, replica string, by Request) (Entry, error) {
	return l.push(what, c, replica, by, l.patience)
}

func (l *Ledger) push(what Reference, c Content, replica string, by Request, within time.Duration) (Entry, error) {
	e := entryOf(what, c, replica)
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	var pushed Row
	err := l.submitWithin(within, func(t *tx) (err error) {
		if old, ok := t.row(what.key()); what.Blob && (!ok || !old.Deleted) {
			return nil
		}
		pushed, err = t.push(e, by)
		return err
	})
	if err != nil || pushed.Name == "" {
		return Entry{}, err
	}
	l.publish(Change{[]Entry{pushed.Entry}, true})
	return pushed.Entry, nil
}

// push writes what a replica has just accepted.
func (t *tx) push(e Entry, by Request) (pushed Row, err error) {
	e.Stamp = t.l.clock.Now(t.l.now())
	if !e.IsDigest() {
		content := e
		content.Name, content.Implied = e.Digest, true
		if _, err := t.record(content); err != nil {
			return Row{}, err
		}
	}
	if pushed, err = t.record(e); err != nil {
		return Row{}, err
	}
	return pushed, t.event(Event{Kind: Pushed, Entry: pushed.Entry, Replica: e.Replica, Request: by})
}

// Delete records that replica has deleted a tag, a manifest with the tags that name it, or a blob. What it returns is
// durable; what was asked for comes first.
func (l *Ledger) Delete(what Reference, replica string, by Request) ([]Entry, error) {
	return l.remove(what, replica, by, l.patience)
}

func (l *Ledger) remove(what Reference, replica string, by Request, within time.Duration) ([]Entry, error) {
	e := Entry{Reference: what, Replica: replica, Deleted: true}
	if what.IsDigest() {
		e.Digest = what.Name
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	var deleted []Entry
	err := l.submitWithin(within, func(t *tx) error {
		e := e
		e.Stamp = l.clock.Now(l.now())
		if old, ok := t.row(what.key()); ok {
			e.Digest, e.MediaType, e.Config, e.Size = old.Digest, old.MediaType, old.Config, old.Size
			e.Implied = old.Deleted && old.Implied // a stand-in's
		}
		tombstone, err := t.record(e)
		if err != nil {
			return err
		}
		tags, err := t.tombstoneTags(tombstone)
		for _, r := range append([]Row{tombstone}, tags...) {
			deleted = append(deleted, r.Entry)
			if err == nil {
				err = t.event(Event{Kind: Deleted, Entry: r.Entry, Replica: replica, Request: by})
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	l.publish(Change{deleted, true})
	return deleted, nil
}

// Untag records that replica has deleted a tag, by giving it to a stand-in that goes with it. Nobody has pushed the
// stand-in, so that nobody is told of it: it is taken for deleted from the beginning, and stays Implied when that
// is recorded again.
func (l *Ledger) Untag(tag Reference, standIn string, replica string, by Request) ([]Entry, error) {
	return l.untag(tag, standIn, replica, by, l.patience)
}

func (l *Ledger) untag(tag Reference, standIn, replica string, by Request, within time.Duration) ([]Entry, error) {
	began := time.Now()
	e := Entry{
		Reference: Reference{Repository: tag.Repository, Name: standIn}, Digest: standIn, Replica: replica,
		Deleted: true, Implied: true,
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	err := l.submitWithin(within, func(t *tx) error {
		e := e
		e.Stamp = l.clock.Now(l.now())
		_, err := t.record(e)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.remove(tag, replica, by, max(within-time.Since(began), 0))
}

// Confirm records that replica has exactly what the entry says, or is rid of it. If something newer is known, it
// changes nothing.
func (l *Ledger) Confirm(e Entry, replica string) error {
	if err := checkReplica(replica); err != nil {
		return err
	}
	return l.submit(func(t *tx) error {
		old, ok := t.row(e.key())
		if !ok || old.Stamp != e.Stamp || slices.Contains(old.Confirmed, replica) {
			return nil
		}
		row := old
		row.Confirmed = bounded(union(old.Confirmed, []string{replica}), maxConfirmed)
		if err := t.changeRow(old, row); err != nil {
			return err
		}
		return t.event(Event{Kind: Confirmed, Entry: row.Entry, Replica: replica})
	})
}

// record writes what has just been done, which is later than all that is known.
func (t *tx) record(e Entry) (Row, error) {
	old, _ := t.row(e.key())
	e.Confirmed = []string{e.Replica}
	row := Row{Entry: e, Seen: seenBefore(old, t.l.member)}
	return row, t.changeRow(old, row)
}

// changeRow replaces a row by one that we have changed.
func (t *tx) changeRow(old, row Row) error {
	origin, n, err := t.change()
	if err != nil {
		return err
	}
	row.Changes = mergeChanges(row.Changes, map[string]uint64{origin: n})
	return t.replace(old, row)
}
