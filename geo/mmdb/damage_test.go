package mmdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/fairlead-gateway/fairlead/geo"
)

func noise(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// realistic is a database as MaxMind makes them, of some hundred networks of both families.
func realistic(t testing.TB) []byte {
	random := rand.New(rand.NewPCG(1, 1))
	places := []mmdbtype.Map{london, utrecht, tokyo, in("US"), in("FR"), inCountry("registered_country", "DE")}
	var entries []entry
	for i := range 300 {
		record := join(places[random.IntN(len(places))], subdivision(fmt.Sprint(i%17)), postal(fmt.Sprint(i%101)),
			mmdbtype.Map{"continent": mmdbtype.Map{"code": mmdbtype.String("EU"),
				"names": mmdbtype.Map{"en": mmdbtype.String("Europe"), "ja": mmdbtype.String("ヨーロッパ")}}})
		network := fmt.Sprintf("%d.%d.0.0/%d", 1+random.IntN(220), random.IntN(256), 12+random.IntN(12))
		if i%3 == 0 {
			network = fmt.Sprintf("2a%02x:%x::/%d", random.IntN(16), random.IntN(65536), 24+random.IntN(40))
		}
		entries = append(entries, entry{network, record})
	}
	return build(t, mmdbwriter.Options{DatabaseType: "GeoLite2-City", RecordSize: 28,
		Description: map[string]string{"en": "test"}}, entries)
}

func simple(t testing.TB) []byte {
	return build(t, mmdbwriter.Options{DatabaseType: "ipv4", IPVersion: 4, RecordSize: 24}, []entry{
		{"81.2.64.0/20", join(text("country_code", "GB", "city", "London"), flatAt(51.51, -0.09))},
		{"192.0.2.0/24", text("country_code", "US")},
	})
}

// tableOf is what Load does with what it has read.
func tableOf(data []byte) (*geo.Table, error) {
	b := geo.NewBuilder(geo.Options{})
	if _, err := add(b, data); err != nil {
		return nil, err
	}
	return b.Table()
}

// useful fails unless a table of what may be damaged is one that can be used.
func useful(t *testing.T, table *geo.Table) {
	t.Helper()
	for _, s := range []string{"0.0.0.0", "81.2.69.142", "192.0.2.1", "203.0.113.9", "255.255.255.255", "::",
		"2001:db8::1", "2a01::1", "2002::1", "ffff::"} {
		got := table.Locate(addr(s))
		if got.Placed() && !got.Point.Valid() {
			t.Fatalf("%s: at %v", s, got.Point)
		}
		if strings.Trim(got.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			t.Fatalf("%s: in %q", s, got.Country)
		}
	}
}

func TestEveryCutIsRefused(t *testing.T) {
	for _, data := range [][]byte{simple(t), build(t, mmdbwriter.Options{},
		[]entry{{"81.2.64.0/20", london}, {"2001:db8::/32", in("NL")}})} {
		for n := range data {
			if _, err := tableOf(data[:n:n]); err == nil {
				t.Errorf("no error for %d bytes of %d", n, len(data))
			}
			// Half of a file behind a gap, as a broken download leaves it.
			if table, err := tableOf(append(make([]byte, n), data[n:]...)); err == nil {
				useful(t, table)
			}
		}
	}
}

// Damage to what a record says of its place refuses the file: it is not the only one.
func TestDamagedRecordsAreRefused(t *testing.T) {
	data := build(t, mmdbwriter.Options{}, []entry{{"81.2.64.0/20", london}, {"192.0.2.0/24", tokyo},
		{"2001:db8::/32", utrecht}})
	latitude := string(binary.BigEndian.AppendUint64(nil, math.Float64bits(52.09)))
	for _, tt := range []struct{ name, old, new, says string }{
		{"a text that runs on behind the data", "\x47Utrecht", "\x5f\xff\xff\xff\xff\xff\xff\xff", "2001:db8::/32"},
		{"a pointer to nowhere", "\x47Utrecht", "\x3f\xff\xff\xff\xffxyz", "2001:db8::/32"},
		{"another type", "\x68" + latitude, "\x48" + latitude, "2001:db8::/32"},
		{"a map without end", "\x47Utrecht", "\xff\xff\xff\xff\xff\xff\xff\xff", "2001:db8::/32"},
	} {
		spoilt := bytes.Replace(data, []byte(tt.old), []byte(tt.new), 1)
		if bytes.Equal(spoilt, data) {
			t.Fatalf("%s: nothing spoilt", tt.name)
		}
		if _, err := tableOf(spoilt); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want one that names %s", tt.name, err, tt.says)
		}
	}
}

// mutate spoils data in one of the ways that files are.
func mutate(random *rand.Rand, data []byte) []byte {
	data = bytes.Clone(data)
	mark := bytes.LastIndex(data, []byte("MaxMind.com")) + len("MaxMind.com")
	switch random.IntN(6) {
	case 0:
		for range 1 + random.IntN(8) {
			data[random.IntN(len(data))] ^= 1 << random.IntN(8)
		}
	case 1:
		data = data[:random.IntN(len(data))]
	case 2: // a block that was not written, or not by us
		from := random.IntN(len(data))
		block := data[from:min(len(data), from+1+random.IntN(4096))]
		if random.IntN(2) == 0 {
			clear(block)
		} else {
			copy(block, noise(random.Uint64(), len(block)))
		}
	case 3:
		for range 1 + random.IntN(4) {
			data[mark+random.IntN(len(data)-mark)] = byte(random.Uint32())
		}
	case 4: // the number of nodes or the size of their records
		field := [][]byte{[]byte("node_count"), []byte("record_size"), []byte("ip_version")}[random.IntN(3)]
		at := mark + bytes.Index(data[mark:], field) + len(field)
		for i := range 1 + random.IntN(4) {
			data[min(at+i, len(data)-1)] = byte(random.Uint32())
		}
	case 5: // a part twice, or left out
		from := random.IntN(len(data))
		to := from + random.IntN(len(data)-from)
		if random.IntN(2) == 0 {
			to, from = from, to
		}
		data = append(data[:to:to], data[from:]...)
	}
	return data
}

// maxAllocated is some 100 times what the databases of these tests are long, and what a field of the metadata that is
// believed would go far beyond.
const maxAllocated = 32 << 20

func TestDamageIsSurvived(t *testing.T) {
	loaded, refused, seeds := 0, 0, 1000
	if testing.Short() {
		seeds = 200
	}
	for i, data := range [][]byte{realistic(t), simple(t)} {
		for seed := range uint64(seeds) {
			spoilt := mutate(rand.New(rand.NewPCG(seed, uint64(i))), data)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			table, err := tableOf(spoilt)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > maxAllocated {
				t.Errorf("database %d, seed %d: %d bytes allocated for a file of %d", i, seed, n, len(spoilt))
			}
			if err != nil {
				refused++
				continue
			}
			loaded++
			useful(t, table)
		}
	}
	t.Logf("%d loaded, %d refused", loaded, refused)
	if loaded < seeds/10 || refused < seeds {
		t.Errorf("%d loaded, %d refused: the damage is too small or too large to show anything", loaded, refused)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(simple(f))
	f.Add(build(f, mmdbwriter.Options{RecordSize: 28, DisableIPv4Aliasing: true},
		[]entry{{"81.2.64.0/20", london}, {"192.0.2.0/24", tokyo}}))
	f.Add(build(f, mmdbwriter.Options{RecordSize: 32}, []entry{{"2001:db8::/32", in("NL")}}))
	f.Add(raw(6, [][2]uint32{{2, 1 + separator}, {2, 2}}, "\xe1\x47country\xe1\x48iso_code\x42NL"))
	f.Add([]byte("\xab\xcd\xefMaxMind.com\xe0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if table, err := tableOf(data); err == nil {
			useful(t, table)
		}
	})
}
