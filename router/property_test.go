package router

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/geo"
	"pgregory.net/rapid"
)

func drawHealth(t *rapid.T) Health {
	return Health{
		Up:       rapid.Bool().Draw(t, "up"),
		Slow:     rapid.Bool().Draw(t, "slow"),
		ChangeIn: time.Duration(rapid.IntRange(0, 3).Draw(t, "changeIn")) * time.Second,
	}
}

func drawPoint(t *rapid.T) geo.Point {
	return geo.Point{Lat: rapid.Float64Range(-90, 90).Draw(t, "lat"), Lon: rapid.Float64Range(-180, 180).Draw(t, "lon")}
}

func drawReplicas(t *rapid.T) []Replica {
	var replicas []Replica
	for _, name := range []string{"a", "b", "c", "d"}[:rapid.IntRange(1, 4).Draw(t, "replicas")] {
		r := Replica{
			Name:     name,
			Point:    drawPoint(t),
			Home:     rapid.Bool().Draw(t, "home"),
			Operator: rapid.SampledFrom([]Operator{Online, Drain, Leaving, Offline}).Draw(t, "operator"),
			Writable: rapid.Bool().Draw(t, "writable"),
			Upstream: drawHealth(t),
		}
		for range rapid.IntRange(1, 2).Draw(t, "fronts") {
			r.Fronts = append(r.Fronts, Front{netip.IPv4Unspecified(), drawHealth(t)})
		}
		replicas = append(replicas, r)
	}
	return replicas
}

func drawRanking(t *rapid.T, f *Fleet) Ranking {
	return f.Rank(placed(drawPoint(t)))
}

// drawRequest draws anything that a proxy could ask about the fleet.
func drawRequest(t *rapid.T, f *Fleet) Request {
	known := []string{""}
	for _, r := range f.Replicas() {
		known = append(known, r.Name)
	}
	name := rapid.SampledFrom(append(known, "gone"))
	r := Request{
		Kind:      rapid.SampledFrom([]Kind{Ping, Pull, Fresh, Exists, Write, Upload, Other}).Draw(t, "kind"),
		Head:      rapid.Bool().Draw(t, "head"),
		URLOwner:  name.Draw(t, "urlOwner"),
		Client:    drawRanking(t, f).Order(),
		Gateway:   drawRanking(t, f).Order(),
		Lease:     name.Draw(t, "lease"),
		Bound:     name.Draw(t, "bound"),
		OwnerHome: rapid.Bool().Draw(t, "ownerHome"),
		Throttled: rapid.SliceOfN(name, 0, 3).Draw(t, "throttled"),
	}
	if r.Kind == Pull && !r.Head && rapid.Bool().Draw(t, "isDamaged") {
		r.Damaged = rapid.SliceOf(name).Draw(t, "damaged")
	}
	if rapid.IntRange(0, 9).Draw(t, "isNamed") == 0 {
		r.Named = rapid.SampledFrom(known).Draw(t, "named")
		r.Adds = r.Kind == Write && rapid.Bool().Draw(t, "adds")
	}
	return r
}

// up is written anew here, so that the tests do not lean on what they test.
func up(r *Replica) bool { return r.Operator != Offline && r.Upstream.Up }

func anyOf(f *Fleet, fits func(*Replica) bool) bool {
	for i := range f.Replicas() {
		if fits(&f.Replicas()[i]) {
			return true
		}
	}
	return false
}

// whole reports whether a replica is not known to have what is asked for damaged.
func (r Request) whole(x *Replica) bool { return !slices.Contains(r.Damaged, x.Name) }

func inService(r *Replica) bool { return r.Operator != Offline }

func isWrite(r Request) bool {
	return r.Kind == Write || r.Kind == Exists || r.Kind == Upload || r.Kind == Pull && r.Head && r.Bound != ""
}

func TestDecideHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet := NewFleet(drawReplicas(t))
		r := drawRequest(t, fleet)
		client, gateway := slices.Clone(r.Client), slices.Clone(r.Gateway)
		d := Decide(r)

		for _, law := range []struct {
			name string
			ok   bool
		}{
			{"nowhere to go only when an upload is lost, all have the blob damaged, or a push would leave with its replica",
				(len(d.Tries) == 0) == (d.Reason == UploadLost || d.Reason == Damaged || d.Reason == NamedLeaving)},
			{"a push would leave only with a replica that leaves", d.Reason != NamedLeaving || r.Adds &&
				fleet.Replica(r.Named).Operator == Leaving},
			{"damaged only where nobody else is left", d.Reason != Damaged || !anyOf(fleet, r.whole)},
			{"nobody is asked who has it damaged", r.Named != "" || r.Kind != Pull || all(d.Tries, r.whole)},
			{"the reason is of the closed set", slices.Contains(closedSet, d.Reason)},
			{"only an answer tells a fall-through", d.Reason != Fallthrough},
			{"nobody is asked twice",
				len(slices.Compact(slices.Sorted(slices.Values(names(d.Tries))))) == len(d.Tries)},
			{"the orders are shared and stay as they are", slices.Equal(client, r.Client) &&
				slices.Equal(gateway, r.Gateway)},
			{"a named replica and no other", r.Named == "" || d.Reason == NamedLeaving ||
				slices.Equal(names(d.Tries), []string{r.Named})},
			{"a lease ends only by what belongs to writing", !d.LeaseEnds || isWrite(r) && r.Lease != "" &&
				r.Named == ""},
			{"a lease that ends does not go where it was", !d.LeaseEnds || !slices.Contains(names(d.Tries), r.Lease)},
			{"no write falls through", !d.OnAbsent || !isWrite(r)},
			{"a 429 of what writes is told", !d.OnThrottled || !isWrite(r) && r.Named == ""},
			{"what is throttled moves no write", !isWrite(r) || sameDecision(d, Decide(unthrottled(r)))},
			{"to be throttled takes nobody out", samePlaces(d, Decide(unthrottled(r)))},
			{"last resort only when nothing fits", d.Reason != LastResort || !d.Tries[0].startable()},
		} {
			if !law.ok {
				t.Errorf("broken: %s\n%+v\n%s", law.name, r, d)
			}
		}
		if r.Named != "" {
			return
		}
		if anyOf(fleet, func(x *Replica) bool { return inService(x) && r.whole(x) }) && !all(d.Tries, inService) {
			t.Errorf("an offline replica is asked while another is left: %s", d)
		}
		upAndWhole := func(x *Replica) bool { return up(x) && r.whole(x) }
		if !isWrite(r) && anyOf(fleet, upAndWhole) && !all(d.Tries, up) {
			t.Errorf("a read goes to a replica that is down while another is up: %s", d)
		}
		if d.OnAbsent && anyOf(fleet, up) {
			missed := anyOf(fleet, func(x *Replica) bool { return upAndWhole(x) && !slices.Contains(d.Tries, x) })
			if missed {
				t.Errorf("content may be where nobody asks: %s", d)
			}
		}
	})
}

func unthrottled(r Request) Request {
	r.Throttled = nil
	return r
}

func sameDecision(a, b Decision) bool { return a.String() == b.String() }

func samePlaces(a, b Decision) bool {
	return slices.Equal(slices.Sorted(slices.Values(names(a.Tries))), slices.Sorted(slices.Values(names(b.Tries))))
}

func all(replicas []*Replica, fits func(*Replica) bool) bool {
	return !slices.ContainsFunc(replicas, func(r *Replica) bool { return !fits(r) })
}

func TestDecideWriteGoesToTheOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet := NewFleet(drawReplicas(t))
		r := drawRequest(t, fleet)
		r.Named = ""
		r.Kind = rapid.SampledFrom([]Kind{Write, Exists, Upload}).Draw(t, "writing")
		if r.Kind == Upload {
			r.URLOwner = ""
		}
		owner := fleet.Replica(r.Lease)
		if owner == nil || !up(owner) {
			t.Skip("no usable lease")
		}
		if got := Decide(r); got.Reason != Leased || len(got.Tries) != 1 || got.Tries[0] != owner || got.LeaseEnds {
			t.Errorf("got %s, leased to %s", got, r.Lease)
		}
	})
}

func TestDecideUploadGoesToItsOwnerOrNowhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet := NewFleet(drawReplicas(t))
		r := drawRequest(t, fleet)
		r.Named, r.Kind = "", Upload
		if r.URLOwner == "" {
			t.Skip("names no owner")
		}
		d := Decide(r)
		if d.Reason != UploadLost && !slices.Equal(names(d.Tries), []string{r.URLOwner}) {
			t.Errorf("got %s, the session is at %s", d, r.URLOwner)
		}
		owner := fleet.Replica(r.URLOwner)
		if (d.Reason == Owner) != (owner != nil && up(owner)) {
			t.Errorf("got %s, the session is at %s: %+v", d, r.URLOwner, owner)
		}
	})
}

// A push starts neither on a replica that drains, nor on one that cannot be written, nor on one that is
// down, while there is one of which none of that is true.
func TestDecideStartsWhereItCanEnd(t *testing.T) {
	fit := func(r *Replica) bool { return r.Operator == Online && r.Upstream.Up && r.Writable }
	rapid.Check(t, func(t *rapid.T) {
		fleet := NewFleet(drawReplicas(t))
		r := drawRequest(t, fleet)
		r.Named, r.Lease, r.Kind = "", "", Write
		if anyOf(fleet, fit) && !all(Decide(r).Tries, fit) {
			t.Errorf("got %s", Decide(r))
		}
	})
}

// Two gateways may read the same file with its replicas in another order.
func TestPermutingReplicasChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := drawReplicas(t)
		point := drawPoint(t)
		for i := range replicas { // ties are where it could matter
			if rapid.Bool().Draw(t, "atOnePlace") {
				replicas[i].Point = point
			}
		}
		one, other := NewFleet(replicas), NewFleet(rapid.Permutation(replicas).Draw(t, "permuted"))
		if one.Home().Name != other.Home().Name {
			t.Errorf("homes: %s and %s", one.Home().Name, other.Home().Name)
		}
		for _, loc := range []geo.Location{{}, placed(point), placed(drawPoint(t))} {
			a, b := one.Rank(loc).Order(), other.Rank(loc).Order()
			if !slices.Equal(a.names(), b.names()) {
				t.Errorf("at %v: orders %v and %v", loc, a.names(), b.names())
			}
			if x, y := anybody(a), anybody(b); x.Replica.Name != y.Replica.Name || x.Reason != y.Reason ||
				x.ChangeIn != y.ChangeIn {
				t.Errorf("at %v: answers %+v and %+v", loc, x, y)
			}
		}
		here := rapid.SampledFrom(replicas).Draw(t, "here").Name
		if a, b := one.OrderHere(here).names(), other.OrderHere(here).names(); !slices.Equal(a, b) || a[0] != here {
			t.Errorf("beside %s: orders %v and %v", here, a, b)
		}
	})
}

func TestOrderHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet := NewFleet(drawReplicas(t))
		order := drawRanking(t, fleet)
		sorted := slices.IsSortedFunc(order, func(a, b Ranked) int {
			if a.ExpectedMS < b.ExpectedMS || a.ExpectedMS == b.ExpectedMS && a.Name < b.Name {
				return -1
			}
			return 1
		})
		got := slices.Sorted(slices.Values(order.Order().names()))
		if !sorted || len(slices.Compact(got)) != len(fleet.Replicas()) {
			t.Errorf("got %v", order)
		}
	})
}

func TestForDNSHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet := NewFleet(drawReplicas(t))
		a := anybody(drawRanking(t, fleet).Order())
		if fleet.Replica(a.Replica.Name) != a.Replica {
			t.Errorf("%s is not of the fleet", a.Replica.Name)
		}
		if !inService(a.Replica) && anyOf(fleet, inService) {
			t.Errorf("%s is offline while another is left", a.Replica.Name)
		}
		frontUp := func(r *Replica) bool { return inService(r) && r.Operator != Leaving && r.FrontUp() }
		if anyOf(fleet, frontUp) != (a.Reason != LastResort) {
			t.Errorf("%s for %s", a.Reason, a.Replica.Name)
		}
		if a.Reason != LastResort && !frontUp(a.Replica) {
			t.Errorf("no front of %s is up", a.Replica.Name)
		}
	})
}

// An answer must not outlive its reason: whatever turns over before ChangeIn has passed, and whatever
// was steady stays, the answer is still the same.
func TestForDNSIsGoodUntilChangeIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := NewFleet(drawReplicas(t))
		point := drawPoint(t)
		a := anybody(before.Rank(placed(point)).Order())

		turn := func(h *Health) {
			due := h.ChangeIn != 0 && (a.ChangeIn == 0 || h.ChangeIn < a.ChangeIn)
			h.Up = h.Up != (due && rapid.Bool().Draw(t, "turns"))
		}
		replicas := slices.Clone(before.Replicas())
		for i := range replicas {
			turn(&replicas[i].Upstream)
			replicas[i].Fronts = slices.Clone(replicas[i].Fronts)
			for j := range replicas[i].Fronts {
				turn(&replicas[i].Fronts[j].Health)
			}
		}
		b := anybody(NewFleet(replicas).Rank(placed(point)).Order())
		if a.Replica.Name != b.Replica.Name || a.Reason != b.Reason {
			t.Errorf("%s (%s), good for %v, became %s (%s)", a.Replica.Name, a.Reason, a.ChangeIn, b.Replica.Name,
				b.Reason)
		}
	})
}
