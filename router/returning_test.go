package router

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// Clients by what part of all has its turn before them.
var (
	early = netip.MustParseAddr("198.51.100.0") // 20 s of 45
	late  = netip.MustParseAddr("192.0.2.0")    // 30 s
)

func TestForDNSWhileReplicasReturn(t *testing.T) {
	turn := func(client netip.Addr) time.Duration {
		return time.Duration(rankOf(returnPrefix(client)) * float64(ReturnTakes)).Round(time.Second)
	}
	if turn(early) != 20*time.Second || turn(late) != 30*time.Second {
		t.Fatalf("the turns are after %v and %v: another hash moves clients that have moved", turn(early), turn(late))
	}
	// want: who early gets, who late gets, each with how long it is so, and "within" if others may get another answer.
	for name, c := range map[string]struct{ fleet, early, late string }{
		"nobody returns":           {"west east", "west 0s", "west 0s"},
		"just back":                {"west:back=0s east", "east 20s within", "east 30s within"},
		"once more, and not yet":   {"west:back=-60s east", "east 1m20s within", "east 1m30s within"},
		"not yet, and nobody else": {"west:back=-60s east:down", "west 0s", "west 0s"},
		"half":                     {"west:back=25s east", "west 0s within", "east 5s within"},
		"all":                      {"west:back=45s east", "west 0s", "west 0s"},
		"long ago":                 {"west:back=24h east", "west 0s", "west 0s"},
		"alone":                    {"west:back=0s", "west 0s", "west 0s"},
		"the next is down":         {"west:back=0s east:down", "west 0s", "west 0s"},
		"the next is down, two":    {"west:back=0s east:down asia", "asia 20s within", "asia 30s within"},
		"the next only forwards":   {"west:back=0s east:upstream=down", "west 0s", "west 0s"},
		"the next drains":          {"west:back=0s east:drain", "west 0s", "west 0s"},
		"the next is back, too":    {"west:back=0s east:back=5s", "east 20s within", "east 30s within"},
		"the next is back later":   {"west:back=5s east:back=0s", "west 0s", "west 0s"},
		"two are, and a third not": {"west:back=0s east:back=25s asia", "east 20s within", "asia 5s within"},
		"the next is unsteady":     {"west:back=25s east:upstream=up+3s", "west 0s within", "east 3s within"},
		"a farther one is back":    {"west east:back=0s", "west 0s", "west 0s"},
		"down again":               {"west:back=0s,down east", "east 0s", "east 0s"},
		"drained meanwhile":        {"west:back=0s,drain east", "east 0s", "east 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			fleet := fleetOf(t, c.fleet)
			order := orderOf(t, fleet, c.fleet)
			for client, want := range map[netip.Addr]string{early: c.early, late: c.late} {
				a := ForDNS(order, client, noon)
				got := fmt.Sprint(a.Replica.Name, " ", a.ChangeIn.Round(time.Second))
				if a.Within.IsValid() {
					got += " within"
				}
				if got != want {
					t.Errorf("%v: %s, want %s", client, got, want)
				}
				if reason := order.reasonFor(a.Replica); a.Reason != reason {
					t.Errorf("%v: %s", client, a.Reason)
				}
			}
		})
	}
}

func TestReturnPrefix(t *testing.T) {
	for client, want := range map[string]string{
		"192.0.2.77":           "192.0.2.0/24",
		"::ffff:192.0.2.77":    "192.0.2.0/24",
		"2001:db8:1:234f::1":   "2001:db8:1:2300::/56",
		"2001:db8:1:2300:5::1": "2001:db8:1:2300::/56",
	} {
		if got := returnPrefix(netip.MustParseAddr(client)); got.String() != want {
			t.Errorf("%s: %v, want %s", client, got, want)
		}
	}
	if got := returnPrefix(netip.Addr{}); got.IsValid() {
		t.Errorf("of nobody: %v", got)
	}
}

// TestReturned: since when replicas are back, seconds before noon; the fleets are seen one after the other, the last at
// noon, ten seconds apart.
func TestReturned(t *testing.T) {
	for name, c := range map[string]struct {
		fleets string
		want   string
	}{
		"the first fleet":              {"west east", "never never"},
		"it stays up":                  {"west east; west east", "never never"},
		"it comes back":                {"west:down east; west east", "0s never"},
		"its front does":               {"west:fronts=down east; west east", "0s never"},
		"its upstream does":            {"west:upstream=down east; west east", "0s never"},
		"it stays so":                  {"west:down east; west east; west east; west east", "20s never"},
		"it goes again":                {"west:down east; west east; west:down east", "10s never"},
		"and comes again: in a minute": {"west:down east; west east; west:down east; west east", "-1m0s never"},
		"and goes meanwhile": {"west:down east; west east; west:down east; west east; west:down east; west east",
			"-1m0s never"},
		"and stays so":                  {"west:down east; west east; west:down east; west east; west east", "-50s never"},
		"alone when it comes again":     {"west:down east; west east; west:down east:down; west east:down", "never never"},
		"it was slow":                   {"west:slow east; west east", "0s never"},
		"it was slow, as all":           {"west:slow east:slow; west east:slow", "never never"},
		"its fronts were":               {"west:fronts=slow east; west east", "0s never"},
		"it is up, and slow":            {"west:down east; west:slow east", "never never"},
		"down, slow, and well":          {"west:down east; west:slow east; west east", "0s never"},
		"slow once more":                {"west:down east; west east; west:slow east; west east", "-1m0s never"},
		"nobody else was up":            {"west:down east:down; west east:down", "never never"},
		"the next was, and it was not":  {"west:down east:down; west:down east; west east", "0s never"},
		"the other one drained":         {"west:down east:drain; west east:drain", "never never"},
		"it is new":                     {"east; west east", "never never"},
		"another one of two fronts":     {"west:fronts=up/down east; west:fronts=up/up east", "never never"},
		"drained and back, as was said": {"west:drain east; west east", "never never"},
		"it comes back while drained":   {"west:down,drain east; west:drain east; west east", "10s never"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := strings.Split(c.fleets, "; ")
			var fleet *Fleet
			for i, line := range lines {
				fleet = fleetOf(t, line).Returned(fleet, noon.Add(time.Duration(i+1-len(lines))*10*time.Second))
			}
			var got []string
			for _, replica := range []string{"west", "east"} {
				text := "never"
				if r := fleet.Replica(replica); r != nil && !r.Back.IsZero() {
					text = noon.Sub(r.Back).String()
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
		})
	}
}

// TestReturnedLongAgo: what happened long ago is forgotten, and the next return begins at once.
func TestReturnedLongAgo(t *testing.T) {
	for up, want := range map[time.Duration]time.Duration{quiet - time.Second: trial, quiet: 0} {
		now := noon
		step := func(before *Fleet, line string, after time.Duration) *Fleet {
			now = now.Add(after)
			return fleetOf(t, line).Returned(before, now)
		}
		fleet := step(nil, "west:down east", 0)
		fleet = step(fleet, "west east", 0)
		fleet = step(fleet, "west:down east", up)
		fleet = step(fleet, "west east", time.Hour)
		if got := fleet.Replica("west").Back.Sub(now); got != want {
			t.Errorf("up for %v before: back in %v, want %v", up, got, want)
		}
	}
}

// The share of clients grows evenly.
func TestReturnIsEven(t *testing.T) {
	fleet := fleetOf(t, "west:back=0s east")
	order := orderOf(t, fleet, "west east")
	const clients = 1 << 16
	for percent := 0; percent <= 100; percent += 10 {
		at, there := noon.Add(ReturnTakes*time.Duration(percent)/100), 0
		for i := range uint32(clients) {
			var v4 [4]byte
			binary.BigEndian.PutUint32(v4[:], 10<<24|i<<8|7)
			if ForDNS(order, netip.AddrFrom4(v4), at).Replica.Name == "west" {
				there++
			}
		}
		if got := 100 * there / clients; got < percent-1 || got > percent+1 {
			t.Errorf("%d %% of clients are back after %d %% of the time", got, percent)
		}
	}
}

// drawReturning is a fleet some of whose replicas are back since noon or a little before.
func drawReturning(t *rapid.T) *Fleet {
	replicas := drawReplicas(t)
	for i := range replicas {
		if rapid.Bool().Draw(t, "back") {
			replicas[i].Back = noon.Add(-time.Duration(rapid.Int64Range(0, int64(2*ReturnTakes)).Draw(t, "ago")))
		}
	}
	return NewFleet(replicas)
}

func drawClient(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "IPv6") {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "client")))
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "client")))
}

// While health stays as it is each client moves up its order alone, once for each replica that is back, and is sent to
// the first that fits in the end.
func TestClientsMoveOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet, client := drawReturning(t), drawClient(t)
		order := drawRanking(t, fleet).Order()
		place := func(at time.Time) int {
			name := ForDNS(order, client, at).Replica.Name
			for i, r := range order {
				if r.Name == name {
					return i
				}
			}
			return -1
		}
		before := place(noon)
		for at := time.Second; at <= ReturnTakes; at += time.Second {
			now := place(noon.Add(at))
			if now > before {
				t.Fatalf("after %v it is sent from %d back to %d", at, before, now)
			}
			before = now
		}
		if want := anybody(order).Replica; order[before] != want {
			t.Errorf("in the end it is sent to %s, not %s", order[before].Name, want.Name)
		}
	})
}

// An answer is the same for all its clients, and until it may change.
func TestAnswerHoldsWhileReplicasReturn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fleet, client := drawReturning(t), drawClient(t)
		order := drawRanking(t, fleet).Order()
		a := ForDNS(order, client, noon)
		if !a.Within.IsValid() {
			if b := ForDNS(order, drawClient(t), noon); b.Replica != a.Replica {
				t.Fatalf("%s for one client, %s for another one, and neither says so", a.Replica.Name, b.Replica.Name)
			}
		} else if !a.Within.Contains(client.Unmap()) {
			t.Fatalf("%v is not within %v", client, a.Within)
		} else if b := ForDNS(order, a.Within.Addr(), noon); b.Replica != a.Replica || b.ChangeIn != a.ChangeIn {
			t.Fatalf("within %v: %+v and %+v", a.Within, a, b)
		}
		least := a.ChangeIn
		if least == 0 {
			least = 2 * ReturnTakes
		}
		part := time.Duration(rapid.Int64Range(0, int64(least)-1).Draw(t, "later"))
		if b := ForDNS(order, client, noon.Add(part)); b.Replica != a.Replica {
			t.Errorf("%s for %v became %s after %v", a.Replica.Name, a.ChangeIn, b.Replica.Name, part)
		}
	})
}
