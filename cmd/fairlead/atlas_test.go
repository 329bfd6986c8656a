package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/geo/world"
	"github.com/fairlead-gateway/fairlead/router"
)

func TestAtlasOfTheBuiltInTable(t *testing.T) {
	c, err := configs.Load("../../configs/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAtlas(c)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]geo.Source{
		"127.0.3.7": geo.SourceNetworks, "130.225.0.1": geo.SourceDatabase, "10.0.0.1": geo.SourceNone,
	} {
		got := a.locate(netip.MustParseAddr(addr))
		if got.Source != want || (a.from(got.Source) == "") != (want == geo.SourceNone) {
			t.Errorf("%s: %+v by %q, want %s", addr, got, a.from(got.Source), want)
		}
	}
	c.Geo.Databases = []string{"../../configs/demo.yaml"}
	if _, err := newAtlas(c); err == nil {
		t.Error("a file that is no database is taken for one")
	}
}

// BenchmarkSwap: what somebody who looks up all the while sees of a new table; and of as much other work, which shows what the machine
// does to him anyway.
func BenchmarkSwap(b *testing.B) {
	fleet := router.NewFleet([]router.Replica{
		{Name: "westus", Point: geo.Point{Lat: 37.8, Lon: -122.4}}, {Name: "westeurope", Point: geo.Point{Lat: 52.4, Lon: 4.9}},
	})
	a := &atlas{replicas: fleet.Replicas()}
	a.use(world.Table())
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"other work", func() {
			for range 1_000_000 {
				geo.ExpectedRTT(geo.Point{Lat: 52.4, Lon: 4.9}, geo.Point{Lat: 37.8, Lon: -122.4})
			}
		}},
		{"a new table", func() { a.use(world.Table()) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			over, longest := make(chan struct{}), make(chan time.Duration)
			go func() { longest <- gap(a, fleet, over) }()
			for b.Loop() {
				c.do()
			}
			close(over)
			b.ReportMetric(float64((<-longest).Microseconds()), "longest-µs")
		})
	}
}

// gap is the longest time from one lookup to the next.
func gap(a *atlas, fleet *router.Fleet, over <-chan struct{}) (longest time.Duration) {
	addr := netip.MustParseAddr("130.225.0.1")
	for last := time.Now(); ; {
		a.orders().Order(fleet, addr)
		now := time.Now()
		longest, last = max(longest, now.Sub(last)), now
		select {
		case <-over:
			return longest
		default:
		}
	}
}
