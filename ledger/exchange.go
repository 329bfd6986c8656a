package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
)

// Bounds of what is exchanged.
const (
	maxPageRows  = 1000
	maxPageBytes = 1 << 20 // of rows, but for the last one
	maxPageSize  = 2 << 20 // encoded
	maxOrigins   = 1024
)

// Page is a part of what one gateway knows and another, as far as it said, does not.
type Page struct {
	Rows []Row             `json:"rows,omitempty"`
	From map[string]uint64 `json:"from,omitempty"` // by origin, the number of the change behind which the rows begin
	UpTo map[string]uint64 `json:"upTo,omitempty"` // that of the change with which they end
	More bool              `json:"more,omitempty"`
}

// Encode is the page as it travels.
func (p Page) Encode() []byte { return marshal(p) }

// DecodePage reads a page. Rows that break a rule are left for Learn to count.
func DecodePage(data []byte) (Page, error) {
	var p Page
	if len(data) > maxPageSize {
		return p, fmt.Errorf("%w: a page of %d bytes", ErrInvalid, len(data))
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return Page{}, fmt.Errorf("%w: no page: %w", ErrInvalid, err)
	}
	return p, p.check()
}

func (p Page) check() error {
	if len(p.Rows) > maxPageRows || len(p.UpTo) > maxOrigins || len(p.From) > maxOrigins {
		return fmt.Errorf("%w: a page of %d rows by %d origins", ErrInvalid, len(p.Rows), len(p.UpTo))
	}
	if err := checkVector(p.UpTo); err != nil {
		return err
	}
	return checkVector(p.From)
}

// Vector is what we know, by origin: the number of its last change that we have with all before it. An origin is a
// member's name with a number of its file. Who asks another gateway for what Since returns begins with it, and after each
// page that was learnt goes on with the larger of the numbers it has and those of the page's UpTo, until there is no More.
func (l *Ledger) Vector() (vector map[string]uint64, err error) {
	err = l.read(func(t *tx) { vector = t.vector() })
	return vector, err
}

func (t *tx) vector() map[string]uint64 {
	vector := map[string]uint64{}
	for c, k := t.bucket(bucketVector).Cursor(), []byte(nil); ; {
		if k == nil {
			k, _ = c.First()
		} else {
			k, _ = c.Next()
		}
		if k == nil {
			return vector
		}
		vector[string(k)] = t.known(string(k))
	}
}

// Since is the first page of all rows that were last changed, by whomever, after what the vector has of that origin.
func (l *Ledger) Since(vector map[string]uint64, limit int) (p Page, err error) {
	err = l.read(func(t *tx) { p = t.since(vector, atMost(limit)) })
	return p, err
}

func (t *tx) since(vector map[string]uint64, limit int) Page {
	p := Page{From: map[string]uint64{}, UpTo: map[string]uint64{}}
	size, taken := 0, map[string]bool{}
	for origin, have := range t.vector() {
		asked := vector[origin]
		if asked >= have {
			continue
		}
		p.From[origin], p.UpTo[origin] = asked, asked
		c := t.bucket(bucketChanges).Cursor()
		for k, _ := c.Seek([]byte(origin + separator + number(asked+1))); ; k, _ = c.Next() {
			n, key, ok := changeOf(string(k), origin)
			if !ok || n > have {
				break
			}
			row, ok := t.row(key)
			if ok && !taken[key] {
				if len(p.Rows) == limit || size > maxPageBytes {
					p.More = true
					return p
				}
				taken[key] = true
				size += len(t.bucket(bucketEntries).Get([]byte(key)))
				p.Rows = append(p.Rows, row)
			}
			p.UpTo[origin] = n
		}
		p.UpTo[origin] = have
	}
	return p
}

// Learned is what came of a page.
type Learned struct {
	News      []Entry // what is known now and was not before
	Conflicts int     // tags that were written on two sides of a cut
	Refused   int     // rows that break a rule, or whose stamp is not to be believed; they are asked for again
}

// Learn takes note of another gateway's page.
func (l *Ledger) Learn(p Page) (Learned, error) {
	if err := p.check(); err != nil {
		return Learned{}, err
	}
	var out Learned
	err := l.submit(func(t *tx) (err error) {
		out, err = t.learn(p)
		return err
	})
	if err != nil {
		return Learned{}, err
	}
	l.publish(Change{Entries: out.News})
	return out, nil
}

func (t *tx) learn(p Page) (out Learned, err error) {
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
		if err := t.learnRow(r, &out); err != nil {
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

func (t *tx) learnRow(theirs Row, out *Learned) error {
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
	buried, err := t.settle(&row)
	if err != nil {
		return err
	}
	if news {
		out.News = append(out.News, row.Entry)
	}
	for _, r := range buried {
		out.News = append(out.News, r.Entry)
	}
	return nil
}

// settle makes tombstones where a digest was deleted on one side of a cut and tagged before on the other.
func (t *tx) settle(row *Row) (buried []Row, err error) {
	if row.Deleted {
		return t.buryTags(*row)
	}
	digest, ok := t.row(Reference{Repository: row.Repository, Name: row.Digest}.key())
	if !ok || !row.buriedBy(digest) {
		return nil, nil
	}
	tag := *row
	*row = tag.bury(digest)
	return nil, t.changeRow(tag, *row)
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
	return t.put(bucketVector, origin, []byte(number(n)))
}

// roomForOrigin forgets origins of which no change is left: of files that were lost. With too many others a new one is not
// noted, and what it changed is asked for again each time.
func (t *tx) roomForOrigin() (bool, error) {
	vector := t.vector()
	if len(vector) < maxOrigins {
		return true, nil
	}
	for origin := range vector {
		if origin == t.origin() || len(t.keys(bucketChanges, origin+separator, "", 1)) > 0 {
			continue
		}
		if err := t.delete(bucketVector, origin); err != nil {
			return false, err
		}
		delete(vector, origin)
	}
	return len(vector) < maxOrigins, nil
}

// notice finds out that others know changes of ours that we do not: our file is an old copy of itself. What we changed
// since it was put back has numbers that others take for known, so all of ours is numbered anew, as another origin's; and
// what we lost is learnt again.
func (t *tx) notice(p Page) error {
	before := t.origin()
	ahead := p.UpTo[before]
	for _, r := range p.Rows {
		ahead = max(ahead, r.Changes[before])
	}
	if ahead <= t.known(before) {
		return nil
	}
	if err := t.delete(bucketVector, before); err != nil {
		return err
	}
	if err := t.put(bucketMeta, keyOrigin, []byte(newOrigin(t.l.member))); err != nil {
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
