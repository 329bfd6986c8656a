package world

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/oschwald/geoip2-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/fairlead-gateway/fairlead/geo"
)

// announced are addresses that the table knows, the same in each run: of IPv4 any with the same chance; of IPv6, where
// prefixes hold everything between nobody and billions, any of any prefix, with the same chance for each prefix.
func announced(v4 bool) []netip.Addr {
	random, list := rand.New(rand.NewPCG(1, 2)), []netip.Addr{}
	if v4 {
		for len(list) < 1<<16 {
			addr := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, random.Uint32())))
			if Table().Locate(addr).Placed() {
				list = append(list, addr)
			}
		}
		return list
	}
	seen, classes := 0, uint16(0)
	each := geo.Divide(nil, Table(), func(geo.Location) uint16 { classes++; return classes - 1 })
	for at := netip.MustParseAddr("2000::"); at.IsValid(); { // before that nothing is announced
		_, scope := each.Find(at)
		b, host := scope.Addr().As16(), uint(64-scope.Bits()) // no prefix is longer than 48
		high := binary.BigEndian.Uint64(b[:8])
		if Table().Locate(at).Placed() {
			addr := b
			binary.BigEndian.PutUint64(addr[:8], high|random.Uint64()&(1<<host-1))
			binary.BigEndian.PutUint64(addr[8:], random.Uint64())
			seen++
			if len(list) < 1<<16 {
				list = append(list, netip.AddrFrom16(addr))
			} else if i := random.IntN(seen); i < len(list) {
				list[i] = netip.AddrFrom16(addr)
			}
		}
		next := high + 1<<host
		if next == 0 {
			break
		}
		binary.BigEndian.PutUint64(b[:8], next)
		at = netip.AddrFrom16(b)
	}
	return list
}

// orders is a class for each order of so many replicas, in regions of one cloud.
func orders(replicas int) func(geo.Location) uint16 {
	var at []geo.Point
	for _, p := range geo.Places() {
		if strings.HasPrefix(p.Name, "azure/") && len(at) < replicas {
			at = append(at, p.Point)
		}
	}
	numbers := map[string]uint16{}
	return func(l geo.Location) uint16 {
		order := make([]byte, len(at))
		times := make([]float64, len(at))
		for i := range at {
			order[i] = byte(i)
			if l.Placed() {
				times[i] = geo.ExpectedRTT(l.Point, at[i])
			}
		}
		slices.SortStableFunc(order, func(a, b byte) int { return int(times[a]) - int(times[b]) })
		number, known := numbers[string(order)]
		if !known {
			number = uint16(len(numbers))
			numbers[string(order)] = number
		}
		return number
	}
}

var families = []struct {
	name string
	v4   bool
}{{"IPv4", true}, {"IPv6", false}}

func BenchmarkLookup(b *testing.B) {
	table := Table()
	division := geo.Divide(nil, table, orders(4))
	for _, family := range families {
		list := announced(family.v4)
		b.Run("Locate/"+family.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				table.Locate(list[i%len(list)])
			}
		})
		b.Run("Find/"+family.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				division.Find(list[i%len(list)])
			}
		})
		for _, path := range filepath.SplitList(os.Getenv("FAIRLEAD_GEO_DATABASE")) {
			db, err := maxminddb.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			if !family.v4 && db.Metadata.IPVersion != 6 {
				continue
			}
			b.Run(db.Metadata.DatabaseType+"/"+family.name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					var r place
					if err := db.Lookup(list[i%len(list)]).Decode(&r); err != nil {
						b.Fatal(err)
					}
				}
			})
			whole := decode[flat]
			if strings.Contains(db.Metadata.DatabaseType, "City") {
				whole = decode[geoip2.City]
			}
			b.Run(db.Metadata.DatabaseType+" whole/"+family.name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := whole(db.Lookup(list[i%len(list)])); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// place is no more of a record than a table knows, of either schema.
type place struct {
	CountryCode string  `maxminddb:"country_code"`
	Latitude    float64 `maxminddb:"latitude"`
	Longitude   float64 `maxminddb:"longitude"`
	Country     struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Location struct {
		Latitude  float64 `maxminddb:"latitude"`
		Longitude float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
}

// flat is all of a record as ip-location-db has it.
type flat struct {
	City        string  `maxminddb:"city"`
	CountryCode string  `maxminddb:"country_code"`
	State1      string  `maxminddb:"state1"`
	State2      string  `maxminddb:"state2"`
	Postcode    string  `maxminddb:"postcode"`
	Timezone    string  `maxminddb:"timezone"`
	Latitude    float64 `maxminddb:"latitude"`
	Longitude   float64 `maxminddb:"longitude"`
}

func decode[T any](found maxminddb.Result) error {
	var r T
	return found.Decode(&r)
}

func BenchmarkUnpack(b *testing.B) {
	before := heap()
	t, err := Unpack(stored)
	if err != nil {
		b.Fatal(err)
	}
	size := float64(heap()-before) / 1e6
	runtime.KeepAlive(t)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Unpack(stored); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(size, "MB")
}

func BenchmarkDivide(b *testing.B) {
	for _, replicas := range []int{3, 54} {
		b.Run(fmt.Sprint(replicas, " replicas"), func(b *testing.B) {
			class := orders(replicas)
			geo.Divide(nil, Table(), class) // which numbers the orders
			before := heap()
			d := geo.Divide(nil, Table(), class)
			size := float64(heap()-before) / 1e6
			runtime.KeepAlive(d)
			b.ReportAllocs()
			for b.Loop() {
				geo.Divide(nil, Table(), class)
			}
			b.ReportMetric(size, "MB")
		})
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
