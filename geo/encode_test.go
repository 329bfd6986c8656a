package geo

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestEncodeAndReadTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t).build(t)
		table.Name = rapid.StringN(0, -1, 3000).Draw(t, "name")
		table.Built = time.Unix(rapid.Int64Range(-1<<36, 1<<36).Draw(t, "built"), 0).UTC()
		encoded := table.Encode()
		got, err := ReadTable(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if !sameTable(got, table) {
			t.Fatalf("%+v, want %+v", got, table)
		}
		if name, built, err := ReadOrigin(encoded); name != table.Name || !built.Equal(table.Built) || err != nil {
			t.Fatalf("%q of %v, %v", name, built, err)
		}
		if !bytes.Equal(got.Encode(), encoded) {
			t.Fatal("encoded otherwise the second time")
		}
	})
}

// sameTable is what reflect.DeepEqual says, a hundred times sooner.
func sameTable(a, b *Table) bool {
	return a.Name == b.Name && a.Built.Equal(b.Built) && slices.Equal(a.locations, b.locations) &&
		sameRuns(a.v4, b.v4) &&
		sameRuns(a.v6, b.v6)
}

func sameRuns[L uint16 | uint32](a, b *runs[L]) bool {
	return a.rest == b.rest && slices.Equal(a.index, b.index) && slices.Equal(a.low, b.low) &&
		slices.Equal(a.value, b.value)
}

// Builders keep maps, whose order differs.
func TestEncodeIsDeterministic(t *testing.T) {
	var entries []entry
	for i := range 100 {
		entries = append(entries, entry{
			at(float64(40+i%10)+0.5, float64(i%7)+0.5, []string{"FR", "ES"}[i%2]),
			netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i / 4), byte(i % 4 * 64)}), 26).String(),
		})
	}
	var first []byte
	for range 10 {
		table, err := builderOf(t, Options{Bits4: 24}, entries).Table()
		if err != nil {
			t.Fatal(err)
		}
		encoded := table.Encode()
		if first == nil {
			first = encoded
		}
		if !bytes.Equal(encoded, first) {
			t.Fatal("the same networks were encoded otherwise")
		}
	}
}

// storedRuns are the runs of a family as they are stored.
func storedRuns(values []uint16, steps ...uint64) []byte {
	b := binary.AppendUvarint(nil, uint64(len(values)))
	for _, v := range values {
		b = append(b, byte(v>>8))
	}
	for _, v := range values {
		b = append(b, byte(v))
	}
	for _, s := range steps {
		b = binary.AppendUvarint(b, s)
	}
	return b
}

func storedLocation(lat, lon int64, source string) []byte {
	b := binary.AppendVarint(nil, lat)
	b = binary.AppendVarint(b, lon)
	return appendText(appendText(b, "NL"), source)
}

// storedTables are tables as they may be stored, by what is the matter with them; "" is good.
func storedTables() map[string][]byte {
	one, good := storedRuns([]uint16{0}, 0), storedLocation(5240, 490, "database")
	head := func(locations uint64, rest ...[]byte) []byte {
		b := appendText([]byte(magic), "name")
		b = binary.AppendVarint(b, 1)
		return append(binary.AppendUvarint(b, locations), slices.Concat(rest...)...)
	}
	return map[string][]byte{
		"": head(1, good, storedRuns([]uint16{0, 1, 0}, 0, 5, 1<<32-6),
			storedRuns([]uint16{1, 0}, 0, 1<<48-1)),
		"nothing":                   nil,
		"another version":           []byte("fairlead-geo-0\n"),
		"no more than a beginning":  []byte(magic),
		"a name without end":        binary.AppendUvarint([]byte(magic), 1<<62),
		"no such number":            append([]byte(magic), slices.Repeat([]byte{0xff}, 12)...),
		"locations without end":     head(1 << 62),
		"more than there may be":    head(maxLocations+1, slices.Repeat(good, maxLocations+1), one, one),
		"a location missing":        head(2, good, one, one),
		"not on Earth":              head(1, storedLocation(9001, 490, "database"), one, one),
		"a source that is none":     head(1, storedLocation(5240, 490, "none"), one, one),
		"no runs":                   head(1, good, storedRuns(nil), one),
		"runs without end":          head(1, good, binary.AppendUvarint(nil, 1<<62)),
		"fewer runs than said":      head(1, good, binary.AppendUvarint(nil, 9), []byte{0, 0, 0, 0}),
		"not from the beginning":    head(1, good, storedRuns([]uint16{0}, 1), one),
		"no step":                   head(1, good, storedRuns([]uint16{0, 1}, 0, 0), one),
		"back by overflow":          head(1, good, storedRuns([]uint16{0, 1, 0}, 0, 5, 1<<64-3), one),
		"beyond the last address":   head(1, good, storedRuns([]uint16{0, 1}, 0, 1<<32), one),
		"beyond the last of IPv6":   head(1, good, one, storedRuns([]uint16{0, 1}, 0, 1<<48)),
		"a place that is not":       head(1, good, storedRuns([]uint16{0, 2}, 0, 5), one),
		"a run like the one before": head(1, good, storedRuns([]uint16{0, 0}, 0, 5), one),
		"only one family":           head(1, good, one),
		"more than a table":         head(1, good, one, one, []byte{0}),
	}
}

func TestReadTableRefuses(t *testing.T) {
	for name, data := range storedTables() {
		table, err := ReadTable(data)
		if good := name == ""; (err == nil) != good {
			t.Errorf("%q: %v, %v", name, table, err)
		}
	}
	// Wherever it is cut.
	data := storedTables()[""]
	for n := range data {
		if _, err := ReadTable(data[:n]); err == nil {
			t.Errorf("the first %d bytes of %d are a table", n, len(data))
		}
	}
}

// What says that it is large must be so.
func TestReadTableTakesNoMoreThanItIsGiven(t *testing.T) {
	for name, data := range storedTables() {
		const fixed = 2 * 4 * (1<<blockBits + 1) * 2 // the indexes, generously
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = ReadTable(data)
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		if most := uint64(fixed + 20*len(data)); took > most {
			t.Errorf("%s: %d bytes for %d", name, took, len(data))
		}
	}
}

func FuzzReadTable(f *testing.F) {
	for _, data := range storedTables() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := ReadTable(data)
		if err != nil {
			return
		}
		again, err := ReadTable(table.Encode())
		if err != nil || !sameTable(again, table) {
			t.Fatalf("%+v, encoded and read again, is %+v, %v", table, again, err)
		}
		d := Divide(nil, table, func(l Location) uint16 { return uint16(len(l.Source)) })
		for _, s := range []string{"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "2001:db8::1",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
			addr := netip.MustParseAddr(s)
			l := table.Locate(addr)
			class, scope := d.Find(addr)
			if !scope.Contains(addr) || class != uint16(len(l.Source)) {
				t.Fatalf("%v is %+v, of class %d in %v", addr, l, class, scope)
			}
		}
	})
}
