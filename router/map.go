package router

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/fairlead-gateway/fairlead/geo"
)

// Map is in which order the replicas are for every address. It depends on the file and the geo table alone, and not on
// what is up: a change of health changes nothing in it. It never changes. A fleet may for a moment have other replicas,
// since both are replaced by themselves while a gateway runs.
type Map struct {
	// Static after NewMap.
	names []string // of its replicas, by place
	// By class, the replicas' places by name, the nearest first; the first one is that of who cannot be placed.
	orders   [][]uint16
	here     [][]uint16 // by replica, that for a gateway beside it
	division *geo.Division
}

// NewMap makes the map of these replicas for the operator's networks and a geo table, of which either may be nil.
func NewMap(replicas []Replica, networks *geo.Networks, table *geo.Table) *Map {
	f := NewFleet(replicas)
	m := &Map{names: make([]string, len(f.replicas))}
	for i := range f.replicas {
		m.names[i] = f.replicas[i].Name
	}
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

// Order is that of a fleet for an address, and the widest prefix around it in which it is the same: it stays true
// whatever is up. Nobody is known to be at an invalid address, which has no prefix. Of a fleet with other replicas than
// the map's, those that the map does not know come last, by name.
func (m *Map) Order(f *Fleet, addr netip.Addr) (Order, netip.Prefix) {
	if !addr.IsValid() {
		return m.order(f, m.orders[0]), netip.Prefix{}
	}
	class, scope := m.division.Find(addr)
	return m.order(f, m.orders[class]), scope
}

// OrderHere is Fleet.OrderHere, at once.
func (m *Map) OrderHere(f *Fleet, here string) Order {
	if f.Replica(here) == nil {
		return nil
	}
	i, known := slices.BinarySearch(m.names, here)
	if !known {
		return f.OrderHere(here)
	}
	return m.order(f, m.here[i])
}

// Uniform reports whether there is one order for everybody.
func (m *Map) Uniform() bool { return m.division.Uniform() }

// Orders is how many there are.
func (m *Map) Orders() int { return len(m.orders) }

// order has every replica of the fleet once. Places are the map's.
func (m *Map) order(f *Fleet, places []uint16) Order {
	if len(m.names) != len(f.replicas) {
		return m.orderByName(f, places)
	}
	order := make(Order, len(places))
	for i, p := range places {
		r := &f.replicas[p]
		if r.Name != m.names[p] {
			return m.orderByName(f, places)
		}
		order[i] = r
	}
	return order
}

// orderByName is for a fleet of other replicas than the map's.
func (m *Map) orderByName(f *Fleet, places []uint16) Order {
	order := make(Order, 0, len(f.replicas))
	for _, p := range places {
		if r := f.Replica(m.names[p]); r != nil {
			order = append(order, r)
		}
	}
	for i := range f.replicas {
		if _, known := slices.BinarySearch(m.names, f.replicas[i].Name); !known {
			order = append(order, &f.replicas[i])
		}
	}
	return order
}
