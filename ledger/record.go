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
	return l.push(what, c, acceptor{replica: replica}, by, l.patience)
}

// acceptor is who accepted a write: a replica, and its incarnation as whoever asks to have it recorded knows it; "": as we do.
type acceptor struct{ replica, holder string }

// confirmed is what a row says of it.
func (a acceptor) confirmed() []string {
	if a.holder == "" || replicaOf(a.holder) != a.replica || checkHolder(a.holder) != nil {
		return nil
	}
	return []string{a.holder}
}

func (l *Ledger) push(what Reference, c Content, by acceptor, client Request, within time.Duration) (Entry, error) {
	e := entryOf(what, c, by.replica)
	e.Confirmed = by.confirmed()
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	var pushed Row
	err := l.submitWithin(within, func(t *tx) (err error) {
		if old, ok := t.row(what.key()); what.Blob && (!ok || !old.Deleted) {
			return nil
		}
		if pushed, err = t.push(e, client); err == nil {
			e = t.fleet.entry(pushed)
		}
		return err
	})
	if err != nil || pushed.Name == "" {
		return Entry{}, err
	}
	l.publish(Change{[]Entry{e}, true})
	return e, nil
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
	return l.remove(what, acceptor{replica: replica}, by, l.patience)
}

func (l *Ledger) remove(what Reference, by acceptor, client Request, within time.Duration) ([]Entry, error) {
	e := Entry{Reference: what, Replica: by.replica, Deleted: true, Confirmed: by.confirmed()}
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
			deleted = append(deleted, t.fleet.entry(r))
			if err == nil {
				err = t.event(Event{Kind: Deleted, Entry: r.Entry, Replica: by.replica, Request: client})
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
	return l.untag(tag, standIn, acceptor{replica: replica}, by, l.patience)
}

func (l *Ledger) untag(tag Reference, standIn string, by acceptor, client Request, within time.Duration) ([]Entry, error) {
	began := time.Now()
	e := Entry{
		Reference: Reference{Repository: tag.Repository, Name: standIn}, Digest: standIn, Replica: by.replica,
		Deleted: true, Implied: true, Confirmed: by.confirmed(),
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
	return l.remove(tag, by, client, max(within-time.Since(began), 0))
}

// Confirm records that replica has exactly what the entry says, or is rid of it. If something newer is known, it
// changes nothing. Replica is a name, which stands for the present incarnation, or a Holder: whoever takes long names the
// one that he has seen it at.
func (l *Ledger) Confirm(e Entry, replica string) error {
	if err := checkHolder(replica); err != nil {
		return err
	}
	return l.submit(func(t *tx) error {
		old, ok := t.row(e.key())
		holder := t.fleet.holder(replica)
		if !ok || old.Stamp != e.Stamp || slices.Contains(old.Confirmed, holder) {
			return nil
		}
		row := old
		row.Confirmed = old.confirmed(holder)
		if err := t.changeRow(old, row); err != nil {
			return err
		}
		return t.event(Event{Kind: Confirmed, Entry: row.Entry, Replica: replicaOf(holder)})
	})
}

// record writes what has just been done, which is later than all that is known.
func (t *tx) record(e Entry) (Row, error) {
	old, _ := t.row(e.key())
	if e.Confirmed == nil {
		e.Confirmed = []string{t.fleet.holder(e.Replica)}
	}
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
