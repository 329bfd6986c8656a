package gateway

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/geo/mmdb"
	"github.com/fairlead-gateway/fairlead/geo/world"
	"github.com/fairlead-gateway/fairlead/router"
)

func TestGeoOfTheBuiltInTable(t *testing.T) {
	c, err := configs.Load("../../../configs/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewGeo(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]geo.Source{
		"127.0.3.7": geo.SourceNetworks, "130.225.0.1": geo.SourceDatabase, "10.0.0.1": geo.SourceNone,
	} {
		got := a.Locate(netip.MustParseAddr(addr))
		if got.Source != want || (a.From(got.Source) == "") != (want == geo.SourceNone) {
			t.Errorf("%s: %+v by %q, want %s", addr, got, a.From(got.Source), want)
		}
	}
	c.Geo.Databases = []string{"../../../configs/demo.yaml"}
	if _, err := NewGeo(c, nil); err == nil {
		t.Error("a file that is no database is taken for one")
	}
}

// BenchmarkSwap: what somebody who looks up all the while sees of a new table, and of nothing and of other work, which
// shows what the machine does to him anyway. Besides, for how long the runtime stops everybody, which is all that a
// swap can do to him while there is a processor for him.
func BenchmarkSwap(b *testing.B) {
	fleet := router.NewFleet([]router.Replica{
		{Name: "westus", Point: geo.Point{Lat: 37.8, Lon: -122.4}}, {Name: "westeurope",
			Point: geo.Point{Lat: 52.4, Lon: 4.9}},
	})
	a := &Geo{source: &geoSource{}, placed: geoSettings{replicas: fleet.Replicas()}}
	a.use(world.Table(), geo.Report{})
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() { time.Sleep(100 * time.Millisecond) }},
		{"other work", func() {
			for range 1_000_000 {
				geo.ExpectedRTT(geo.Point{Lat: 52.4, Lon: 4.9}, geo.Point{Lat: 37.8, Lon: -122.4})
			}
		}},
		{"the built-in table", func() { a.use(world.Table(), geo.Report{}) }},
		{"a database", func() {
			path := os.Getenv("FAIRLEAD_GEO_DATABASE")
			if path == "" {
				b.Skip("NOT MEASURED: FAIRLEAD_GEO_DATABASE names no database")
			}
			t, report, err := mmdb.Load(0, filepath.SplitList(path)...)
			if err != nil {
				b.Fatal(err)
			}
			a.use(t, report)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			over, longest, before := make(chan struct{}), make(chan time.Duration), stops()
			go func() { longest <- gap(a, fleet, over) }()
			for b.Loop() {
				c.do()
			}
			close(over)
			b.ReportMetric(float64((<-longest).Microseconds()), "longest-µs")
			b.ReportMetric(longestStop(before, stops()).Seconds()*1e6, "stop-µs")
		})
	}
}

// stops is how many stops of the world there have been, by how long they were.
func stops() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64Histogram()
}

func longestStop(before, after *metrics.Float64Histogram) (longest time.Duration) {
	for i, n := range after.Counts {
		if n > before.Counts[i] {
			longest = time.Duration(after.Buckets[i+1] * float64(time.Second)) // at most
		}
	}
	return longest
}

// gap is the longest time from one lookup to the next.
func gap(a *Geo, fleet *router.Fleet, over <-chan struct{}) (longest time.Duration) {
	addr := netip.MustParseAddr("130.225.0.1")
	for last := time.Now(); ; {
		a.Orders().Order(fleet, addr)
		now := time.Now()
		longest, last = max(longest, now.Sub(last)), now
		select {
		case <-over:
			return longest
		default:
		}
	}
}
