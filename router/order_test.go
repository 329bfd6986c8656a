package router

import (
	"math"
	"testing"

	"github.com/fairlead-gateway/fairlead/geo"
)

var (
	sanJose   = geo.Point{Lat: 37.34, Lon: -121.89}
	richmond  = geo.Point{Lat: 37.54, Lon: -77.44}
	toronto   = geo.Point{Lat: 43.65, Lon: -79.38}
	amsterdam = geo.Point{Lat: 52.37, Lon: 4.90}
)

func contoso() *Fleet {
	return NewFleet([]Replica{
		{Name: "westus", Point: sanJose, Home: true},
		{Name: "eastus", Point: richmond},
		{Name: "canada", Point: toronto},
		{Name: "europe", Point: amsterdam},
	})
}

func placed(p geo.Point) geo.Location {
	return geo.Location{Point: p, Source: geo.SourceDatabase}
}

func TestOrderNearestFirst(t *testing.T) {
	for _, r := range contoso().Replicas() {
		if got := contoso().Rank(placed(r.Point)).Order()[0].Name; got != r.Name {
			t.Errorf("a client beside %s is sent to %s", r.Name, got)
		}
	}
}

func TestOrderExpectedTime(t *testing.T) {
	f := NewFleet([]Replica{{Name: "west", Point: sanJose, Bias: 0.4}, {Name: "east", Point: richmond, Bias: -3.2}})
	for _, r := range f.Rank(placed(toronto)) {
		if want := int(math.Round(geo.ExpectedRTT(toronto, r.Point) + r.Bias)); r.ExpectedMS != want {
			t.Errorf("%s: expected %d ms, want %d", r.Name, r.ExpectedMS, want)
		}
	}
}

func TestOrderTies(t *testing.T) {
	half := 0.5 - math.Mod(geo.ExpectedRTT(toronto, toronto), 1) // takes the time to just between two milliseconds
	rows := []struct {
		name    string
		c, a, b float64 // bias of three replicas at one place
		want    []string
	}{
		{"equal: by name", 0, 0, 0, []string{"a", "b", "c"}},
		{"less than a millisecond apart: by name", half + 0.1, half + 0.9, half + 0.5, []string{"a", "b", "c"}},
		{"rounding parts them, however little lies between", half - 0.1, half + 0.1, half + 0.1,
			[]string{"c", "a", "b"}},
		{"a bias moves a replica back", 0, 5, 0, []string{"b", "c", "a"}},
		{"a negative bias moves it forward", -5, 0, 0, []string{"c", "a", "b"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f := NewFleet([]Replica{
				{Name: "c", Point: toronto, Bias: row.c},
				{Name: "a", Point: toronto, Bias: row.a},
				{Name: "b", Point: toronto, Bias: row.b},
			})
			sameNames(t, f.Rank(placed(toronto)).Order().names(), row.want...)
		})
	}
}

// More replicas than a sort of few elements leaves in place by luck.
func TestOrderTiesOfMany(t *testing.T) {
	var replicas []Replica
	var want []string
	for i := range 40 {
		name := string(rune('A' + i))
		replicas = append(replicas, Replica{Name: name, Point: toronto, Bias: float64(i % 2 * 10)})
		if i%2 == 0 {
			want = append(want, name)
		}
	}
	sameNames(t, NewFleet(replicas).Rank(placed(toronto)).Order().names()[:20], want...)
}

func TestOrderBiasShiftsABorder(t *testing.T) {
	f := NewFleet([]Replica{{Name: "east", Point: richmond, Bias: 1000}, {Name: "europe", Point: amsterdam}})
	sameNames(t, f.Rank(placed(richmond)).Order().names(), "europe", "east")
}

func TestOrderOfTheUnplaced(t *testing.T) {
	f := contoso()
	home := f.Rank(placed(sanJose)).Order()
	rows := map[string]geo.Location{
		"nothing known":                 {},
		"looked up in vain":             {Source: geo.SourceNone},
		"a point that nobody stands by": {Source: geo.SourceNone, Point: amsterdam},
	}
	for name, loc := range rows {
		t.Run(name, func(t *testing.T) {
			sameNames(t, f.Rank(loc).Order().names(), home.names()...)
		})
	}
	if got := f.Rank(geo.Location{Source: geo.SourceCountry, Point: amsterdam}).Order()[0].Name; got != "europe" {
		t.Errorf("a client of whom the country is known is sent to %s", got)
	}
}

// 0,0 lies in the Gulf of Guinea: a replica or a client may be placed there like anywhere else.
func TestOrderAtZero(t *testing.T) {
	f := NewFleet([]Replica{{Name: "home", Point: amsterdam, Home: true}, {Name: "zero"}})
	if got := f.Rank(geo.Location{Source: geo.SourceNetworks}).Order()[0].Name; got != "zero" {
		t.Errorf("a client placed at 0,0 is sent to %s", got)
	}
}

func TestOrderHereFirst(t *testing.T) {
	f := contoso()
	for _, r := range f.Replicas() {
		sameNames(t, f.OrderHere(r.Name).names(), f.Rank(placed(r.Point)).Order().names()...)
	}
}

func TestOrderHereBeatsTheModel(t *testing.T) {
	f := NewFleet([]Replica{
		{Name: "a", Point: richmond},
		{Name: "b", Point: toronto, Bias: 10},
		{Name: "c", Point: toronto, Bias: 1e6},
		{Name: "d", Point: toronto},
	})
	order := f.OrderHere("c")
	if order[0].Name != "c" {
		t.Errorf("the gateway beside c reads from %s", order[0].Name)
	}
	var rest []string
	for _, r := range f.Rank(placed(toronto)).Order() {
		if r.Name != "c" {
			rest = append(rest, r.Name)
		}
	}
	sameNames(t, order[1:].names(), rest...)
}

func TestOrderHereUnknown(t *testing.T) {
	for _, here := range []string{"", "gone"} {
		if got := contoso().OrderHere(here); got != nil {
			t.Errorf("here %q: got %v, want none", here, got.names())
		}
	}
}

// What probes and operators say decides who of the order is taken, never the order.
func TestOrderKnowsNoHealth(t *testing.T) {
	well := contoso()
	ill := contoso().Replicas()
	for i := range ill {
		ill[i].Operator, ill[i].Writable = Offline, i%2 == 0
		ill[i].Upstream.Up = i%2 == 0
	}
	sameNames(t, NewFleet(ill).Rank(placed(toronto)).Order().names(), well.Rank(placed(toronto)).Order().names()...)
}
