package ledger

import (
	"encoding/json"
	"fmt"
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

// DecodePage reads a page. Rows that break a rule are left for MergePage to count.
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
// member's name with a number of its file. Who asks another gateway for what Since returns begins with it, and after
// each page that was merged goes on with the larger of the numbers it has and those of the page's UpTo, until there is
// no More.
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
