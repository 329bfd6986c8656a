package mmdb

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/fairlead-gateway/fairlead/geo"
)

// realFiles are those of a real database, which we may not give away.
func realFiles(t testing.TB) []string {
	paths := filepath.SplitList(os.Getenv("FAIRLEAD_GEO_DATABASE"))
	if len(paths) == 0 {
		t.Skip("NOT TESTED: real databases. FAIRLEAD_GEO_DATABASE names none; it may name one, or one for each family with a colon between them")
	}
	return paths
}

// maxHeap is what a table may take in memory, in bytes.
const maxHeap = 60 << 20

// The library looks at the IPv4 address in one of these.
var sixToFour, teredo = netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32")

// BenchmarkRealDatabase holds that what the table says of an address is what the library finds. It is no test, since no
// database is here that everybody has.
func BenchmarkRealDatabase(t *testing.B) {
	paths := realFiles(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table, report, err := Load(0, paths...)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%s of %v, %d places: %s", table.Name, table.Built, table.Cells(), report)
	t.Logf("%d KiB more of the heap in use", (int64(after.HeapInuse)-int64(before.HeapInuse))>>10)
	if after.HeapInuse > before.HeapInuse+maxHeap {
		t.Errorf("more than %d KiB", maxHeap>>10)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for _, path := range paths {
		db, err := maxminddb.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var read schema
		asked := 0
		for asked < 50_000 {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], 0x2<<60|random.Uint64()>>4&random.Uint64())
			binary.BigEndian.PutUint64(b[8:], random.Uint64())
			a := netip.AddrFrom16(b)
			if db.Metadata.IPVersion == 4 || len(paths) == 1 && random.IntN(2) == 0 {
				a = netip.AddrFrom4([4]byte(b[8:12]))
			}
			result := db.Lookup(a)
			if a.Is6() && (result.Prefix().Bits() > 48 || sixToFour.Contains(a) || teredo.Contains(a)) {
				continue // most of a block decide
			}
			asked++
			var want geo.Record
			if result.Found() {
				if read == nil {
					if read, err = schemaOf(result); err != nil {
						t.Fatal(err)
					}
				}
				if want, err = read(result); err != nil {
					t.Fatal(err)
				}
			}
			got := table.Locate(a)
			if got.Country != want.Country || got.Source == geo.SourceDatabase &&
				geo.Distance(got.Point, want.Point) > 160 {
				t.Errorf("%s: %+v, want %+v", a, got, want)
			}
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	paths := realFiles(b)
	for b.Loop() {
		if _, _, err := Load(0, paths...); err != nil {
			b.Fatal(err)
		}
	}
}
