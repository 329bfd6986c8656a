package router

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// fleetOf reads a fleet from one line, the replicas separated by blanks, each with what is not usual
// of it: "west east:down canada:drain europe:offline,ro". Usual is online, writable, one front, all
// steadily up. The words:
//
//	home, ro, drain, offline
//	405                   answers writes so
//	unshared              not all gateways know it
//	storage=S
//	down                  fronts and upstream
//	slow                  its upstream
//	back=20s              it was down, and clients elsewhere, until so long before noon
//	upstream=H, fronts=H/H…  H is up, slow or down, and +2s with it the time until it can change
func fleetOf(t testing.TB, line string) *Fleet {
	t.Helper()
	var replicas []Replica
	for _, word := range strings.Fields(line) {
		replicas = append(replicas, replicaOf(t, word))
	}
	return NewFleet(replicas)
}

func replicaOf(t testing.TB, word string) Replica {
	t.Helper()
	name, states, _ := strings.Cut(word, ":")
	r := Replica{Name: name, Operator: Online, Writable: true, Upstream: Health{Up: true}, Fronts: frontsOf(t, "up")}
	for state := range strings.SplitSeq(states, ",") {
		key, value, _ := strings.Cut(state, "=")
		switch key {
		case "":
		case "home":
			r.Home = true
		case "ro":
			r.Writable = false
		case "405":
			r.ReadOnly = true
		case "unshared":
			r.Unshared = true
		case "storage":
			r.Storage = value
		case "drain", "leaving", "offline":
			r.Operator = Operator(key)
		case "down":
			r.Upstream, r.Fronts = Health{}, frontsOf(t, "down")
		case "slow":
			r.Upstream.Slow = true
		case "back":
			ago, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			r.Back = noon.Add(-ago)
		case "upstream":
			r.Upstream = healthOf(t, value)
		case "fronts":
			r.Fronts = frontsOf(t, value)
		default:
			t.Fatalf("%q: unknown word %q", word, state)
		}
	}
	return r
}

func frontsOf(t testing.TB, list string) []Front {
	t.Helper()
	var fronts []Front
	addr := netip.MustParseAddr("192.0.2.1")
	for h := range strings.SplitSeq(list, "/") {
		fronts = append(fronts, Front{addr, healthOf(t, h)})
		addr = addr.Next()
	}
	return fronts
}

func healthOf(t testing.TB, s string) Health {
	t.Helper()
	word, changeIn, unsteady := strings.Cut(s, "+")
	h := Health{Up: word != "down", Slow: word == "slow"}
	if word != "up" && word != "slow" && word != "down" {
		t.Fatalf("health %q is neither up, slow nor down", s)
	}
	if unsteady {
		var err error
		if h.ChangeIn, err = time.ParseDuration(changeIn); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// orderOf ranks the fleet as the line has it, the nearest first. What follows a name is passed over, so
// that the line of a fleet is also an order of it.
func orderOf(t testing.TB, f *Fleet, line string) Order {
	t.Helper()
	var order Order
	for _, word := range strings.Fields(line) {
		name, _, _ := strings.Cut(word, ":")
		r := f.Replica(name)
		if r == nil {
			t.Fatalf("order %q: the fleet has no %q", line, name)
		}
		order = append(order, r)
	}
	if len(order) != len(f.Replicas()) {
		t.Fatalf("order %q does not name every replica", line)
	}
	return order
}

// String is a decision as the tests' rows have it: "leased: west, east; 404 asks on; elsewhere: east; lease ends".
func (d Decision) String() string {
	s := fmt.Sprintf("%s: %s", d.Reason, strings.Join(names(d.Tries), ", "))
	if d.OnAbsent {
		s += "; 404 asks on"
	}
	if d.OwnerKnows {
		s += "; the owner knows"
	}
	if len(d.Elsewhere) > 0 {
		s += "; elsewhere: " + strings.Join(names(d.Elsewhere), ", ")
	}
	if d.LeaseEnds {
		s += "; lease ends"
	}
	return s
}

func names(replicas []*Replica) []string {
	var out []string
	for _, r := range replicas {
		out = append(out, r.Name)
	}
	return out
}

func (o Order) names() []string {
	var out []string
	for _, r := range o {
		out = append(out, r.Name)
	}
	return out
}

func sameNames(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
