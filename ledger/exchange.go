package ledger

import (
	"bytes"
	"maps"
	"math"
)

// Merged is what came of a page.
type Merged struct {
	News      []Entry // what is known now and was not before
	Conflicts int     // tags that were written on two sides of a cut
	Refused   int     // rows that break a rule, or whose stamp is not to be believed; they are asked for again
}

// MergePage takes note of another gateway's page.
func (l *Ledger) MergePage(p Page) (Merged, error) {
	if err := p.check(); err != nil {
		return Merged{}, err
	}
	var out Merged
	err := l.submit(func(t *tx) (err error) {
		out, err = t.mergePage(p)
		return err
	})
	if err != nil {
		return Merged{}, err
	}
	l.publish(Change{Entries: out.News})
	return out, nil
}

func (t *tx) mergePage(p Page) (out Merged, err error) {
	if err := t.notice(p); err != nil {
		return out, err
	}
	upTo := maps.Clone(p.UpTo)
	for _, r := range p.Rows {
		if r.check() != nil || t.l.clock.Observe(r.Stamp, t.l.now()) != nil {
			out.Refused++
			for origin, n := range r.Changes { // what was refused is not known
				if n > 0 && upTo[origin] >= n {
					upTo[origin] = n - 1
				}
			}
			continue
		}
		if err := t.mergeRow(r, &out); err != nil {
			return out, err
		}
	}
	for origin, n := range upTo {
		if err := t.advance(origin, p.From[origin], n); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (t *tx) mergeRow(theirs Row, out *Merged) error {
	theirs = t.fleet.holding(theirs)
	t.renewed = t.renewed || theirs.isRenewal()
	t.set = t.set || theirs.isSetting()
	ours, known := t.row(theirs.key())
	row := theirs
	if known {
		row = Merge(ours, theirs)
	}
	winner, loser := ours, theirs
	if theirs.overrules(ours) {
		winner, loser = theirs, ours
	}
	if known && winner.overrules(loser) {
		found, err := t.conflict(loser.Entry, winner.Entry)
		if err != nil {
			return err
		}
		out.Conflicts += found
	}
	news := !known || !sameEntry(ours, row)
	if news || !maps.Equal(ours.Changes, row.Changes) {
		if err := t.replace(ours, row); err != nil {
			return err
		}
	}
	tombstones, err := t.applyTombstones(&row)
	if err != nil {
		return err
	}
	if news && !row.isReserved() {
		out.News = append(out.News, t.fleet.entry(row))
	}
	for _, r := range tombstones {
		out.News = append(out.News, t.fleet.entry(r))
	}
	return nil
}

func sameEntry(a, b Row) bool {
	a.Changes, b.Changes = nil, nil
	return bytes.Equal(a.encode(), b.encode())
}

// advance takes note that all changes of an origin behind from and up to n are known.
func (t *tx) advance(origin string, from, n uint64) error {
	have := t.known(origin)
	if origin == t.origin() || from > have || n <= have {
		return nil
	}
	if have == 0 {
		ok, err := t.roomForOrigin()
		if err != nil || !ok {
			return err
		}
	}
	return t.putKey(bucketVector, origin, []byte(number(n)))
}

// roomForOrigin forgets origins of which no change is left: of files that were lost. With too many others a new one is
// not noted, and what it changed is asked for again each time.
func (t *tx) roomForOrigin() (bool, error) {
	vector := t.vector()
	if len(vector) < maxOrigins {
		return true, nil
	}
	for origin := range vector {
		if origin == t.origin() || len(t.keys(bucketChanges, origin+separator, "", 1)) > 0 {
			continue
		}
		if err := t.deleteKey(bucketVector, origin); err != nil {
			return false, err
		}
		delete(vector, origin)
	}
	return len(vector) < maxOrigins, nil
}

// notice finds out that others know changes of ours that we do not: our file is an old copy of itself. What we changed
// since it was put back has numbers that others take for known, so all of ours is numbered anew, as another origin's;
// and what we lost is merged again.
func (t *tx) notice(p Page) error {
	before := t.origin()
	ahead := p.UpTo[before]
	for _, r := range p.Rows {
		ahead = max(ahead, r.Changes[before])
	}
	if ahead <= t.known(before) {
		return nil
	}
	if err := t.deleteKey(bucketVector, before); err != nil {
		return err
	}
	if err := t.putKey(bucketMeta, keyOrigin, []byte(newOrigin(t.l.member))); err != nil {
		return err
	}
	for _, k := range t.keys(bucketChanges, before+separator, "", math.MaxInt) {
		_, key, _ := changeOf(k, before)
		if row, ok := t.row(key); ok {
			if err := t.changeRow(row, row); err != nil {
				return err
			}
		}
	}
	return nil
}
