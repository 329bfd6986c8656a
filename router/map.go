package router

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/fairlead-gateway/fairlead/geo"
)

// Map is in which order the replicas are for every address. It depends on the file and the geo table alone, and not on
// what is up: a change of health changes nothing in it. It never changes.
type Map struct {
	// Static after NewMap.
	// By class, the replicas' places by name, the nearest first; the first one is that of who cannot be placed.
	orders   [][]uint16
	here     [][]uint16 // by replica, that for a gateway beside it
	division *geo.Division
}

// NewMap makes the map of these replicas for the operator's networks and a geo table, of which either may be nil.
func NewMap(replicas []Replica, networks *geo.Networks, table *geo.Table) *Map {
	f := NewFleet(replicas)
	m := &Map{}
	spots, known := f.spots(), map[string]uint16{}
	m.division = geo.Divide(networks, table, func(loc geo.Location) uint16 {
		at := loc.Point
		if !loc.Placed() {
			at = f.home.Point
		}
		places := f.places(f.rankAt(at, spots).Order())
		key := keyOf(places)
		class, ok := known[key]
		if !ok {
			// A table has fewer places than there are classes; with thousands of networks there may be more.
			class = uint16(min(len(m.orders), geo.MaxClasses-1))
			if int(class) == len(m.orders) {
				m.orders = append(m.orders, places)
			}
			known[key] = class
		}
		return class
	})
	for i := range f.replicas {
		m.here = append(m.here, f.places(f.OrderHere(f.replicas[i].Name)))
	}
	return m
}

// places are where the replicas of an order stand in the fleet.
func (f *Fleet) places(order Order) []uint16 {
	places := make([]uint16, len(order))
	for i, r := range order {
		n, _ := slices.BinarySearchFunc(f.replicas, r.Name,
			func(r Replica, name string) int { return cmp.Compare(r.Name, name) })
		places[i] = uint16(n)
	}
	return places
}

func keyOf(places []uint16) string {
	var key []byte
	for _, p := range places {
		key = binary.BigEndian.AppendUint16(key, p)
	}
	return string(key)
}

// Order is that of a fleet of the map's replicas for an address, and the widest prefix around it in which it is the
// same: it stays true whatever is up. Nobody is known to be at an invalid address, which has no prefix.
func (m *Map) Order(f *Fleet, addr netip.Addr) (Order, netip.Prefix) {
	if !addr.IsValid() {
		return f.order(m.orders[0]), netip.Prefix{}
	}
	class, scope := m.division.Find(addr)
	return f.order(m.orders[class]), scope
}

// OrderHere is Fleet.OrderHere, at once.
func (m *Map) OrderHere(f *Fleet, here string) Order {
	for i := range f.replicas {
		if f.replicas[i].Name == here {
			return f.order(m.here[i])
		}
	}
	return nil
}

// Uniform reports whether there is one order for everybody.
func (m *Map) Uniform() bool { return m.division.Uniform() }

// Orders is how many there are.
func (m *Map) Orders() int { return len(m.orders) }

func (f *Fleet) order(places []uint16) Order {
	order := make(Order, len(places))
	for i, p := range places {
		order[i] = &f.replicas[p]
	}
	return order
}
