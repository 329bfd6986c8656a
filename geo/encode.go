package geo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// magic begins a table as it is stored.
const magic = "fairlead-geo-1\n"

// errTable is for what is no table.
var errTable = errors.New("not a table of this version")

// Encode is the table as ReadTable reads it. Of one table it is always the same.
func (t *Table) Encode() []byte {
	b := []byte(magic)
	b = appendText(b, t.Name)
	b = binary.AppendVarint(b, t.Built.Unix())
	b = binary.AppendUvarint(b, uint64(len(t.locations)-1))
	for _, l := range t.locations[1:] {
		b = binary.AppendVarint(b, int64(math.Round(l.Point.Lat*100)))
		b = binary.AppendVarint(b, int64(math.Round(l.Point.Lon*100)))
		b = appendText(b, l.Country)
		b = appendText(b, string(l.Source))
	}
	b = appendRuns(b, t.v4)
	return appendRuns(b, t.v6)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendRuns writes values and starts apart, and the bytes of values too: alike beside alike compresses well.
func appendRuns[L uint16 | uint32](b []byte, r *runs[L]) []byte {
	b = binary.AppendUvarint(b, uint64(len(r.low)))
	for _, v := range r.value {
		b = append(b, byte(v>>8))
	}
	for _, v := range r.value {
		b = append(b, byte(v))
	}
	last := uint64(0)
	r.from(0, func(start uint64, _ uint16) bool {
		b = binary.AppendUvarint(b, start-last)
		last = start
		return true
	})
	return b
}

// ReadTable reads what Encode wrote. Whatever it is given, it takes memory for no more than a few times as many bytes.
func ReadTable(data []byte) (*Table, error) {
	r := newReader(data)
	name, built := r.origin()
	t := &Table{Name: name, Built: built, locations: []Location{{Source: SourceNone}}}
	for range r.count(maxLocations, 4) {
		l := Location{Point: Point{Lat: float64(r.varint()) / 100, Lon: float64(r.varint()) / 100}, Country: r.text(),
			Source: Source(r.text())}
		if !l.Point.Valid() || l.Source != SourceDatabase && l.Source != SourceCountry {
			return nil, errTable
		}
		t.locations = append(t.locations, l)
	}
	t.v4 = readRuns[uint16](r, 32, len(t.locations))
	t.v6 = readRuns[uint32](r, tableBits6, len(t.locations))
	if r.failed || len(r.left) > 0 {
		return nil, errTable
	}
	return t, nil
}

// ReadOrigin is the name and the date of a table of which start is the beginning, as Encode wrote it.
func ReadOrigin(start []byte) (name string, built time.Time, err error) {
	r := newReader(start)
	if name, built = r.origin(); r.failed {
		return "", time.Time{}, errTable
	}
	return name, built, nil
}

// reader takes a stored table apart. Once it has failed all that it gives is 0.
type reader struct {
	left   []byte
	failed bool
}

// newReader reads behind the magic. Where that is missing the reader has failed already.
func newReader(data []byte) *reader {
	left, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return &reader{failed: true}
	}
	return &reader{left: left}
}

func (r *reader) origin() (name string, built time.Time) {
	return r.text(), time.Unix(r.varint(), 0).UTC()
}

func (r *reader) fail() { r.failed, r.left = true, nil }

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.left)
	r.skip(size)
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.left)
	r.skip(size)
	return n
}

func (r *reader) skip(size int) {
	if size <= 0 {
		r.fail()
		return
	}
	r.left = r.left[size:]
}

// count is of things that take at least so many bytes each.
func (r *reader) count(most, bytes int) int {
	n := r.uvarint()
	if n > uint64(most) || n > uint64(len(r.left)/bytes) {
		r.fail()
		return 0
	}
	return int(n)
}

// take returns the next bytes, as many as count has found to be there.
func (r *reader) take(n int) []byte {
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

func (r *reader) text() string { return string(r.take(r.count(len(r.left), 1))) }

func readRuns[L uint16 | uint32](r *reader, bits uint, values int) *runs[L] {
	n := r.count(len(r.left), 3)
	high, low := r.take(n), r.take(n)
	out := newRuns[L](bits)
	out.low, out.value = make([]L, 0, n), make([]uint16, 0, n)
	key := uint64(0)
	for i := range n {
		value, step := uint16(high[i])<<8|uint16(low[i]), r.uvarint()
		if (step == 0) != (i == 0) || step >= 1<<bits-key || int(value) >= values {
			break
		}
		key += step
		out.append(key, value)
	}
	if len(out.low) != n || n == 0 {
		r.fail() // a start or a value that cannot be, or a run that is none
	}
	return out.end()
}
