package router

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A history is what befalls one repository with an idle time of 10 minutes, one step a line: the time
// since the start, what happens, and who owns the lease after it ("-": nobody). What happens:
//
//	accept R  replica R accepted a write
//	begin     a request that belongs to writing comes in
//	end       the last byte of one has gone
//	drain R   nothing new starts at replica R any more
//	look      nothing
func TestLeaseHistories(t *testing.T) {
	rows := []struct{ name, history string }{
		{"none before the first accepted write", `
			0s  look         -
			0s  begin        -
			20m look         -`},
		{"granted by the first, until ten minutes are quiet", `
			0s     accept west  west
			9m59s  look         west
			10m    look         -`},
		{"each accepted write keeps it alive", `
			0s   accept west  west
			9m   accept west  west
			18m  accept west  west
			27m  look         west
			28m  look         -`},
		{"a write that another accepts keeps it alive and moves nothing", `
			0s   accept west  west
			9m   accept east  west
			18m  look         west
			19m  look         -`},
		{"after the end, whoever accepts first", `
			0s   accept west  west
			10m  accept east  east
			19m  look         east`},
		{"an open request holds it, however long", `
			0s   accept west  west
			1m   begin        west
			5h   look         west
			5h   end          west
			5h9m look         west
			5h10m look        -`},
		{"two open requests: the last one ends it", `
			0s   accept west  west
			1m   begin        west
			2m   begin        west
			3m   end          west
			60m  look         west
			60m  end          west
			70m  look         -`},
		{"the write that grants it is itself open", `
			0s   begin        -
			1s   accept west  west
			60m  look         west
			60m  end          west
			70m  look         -`},
		{"an open request of a push that is not accepted yet grants nothing", `
			0s   begin        -
			1m   begin        -
			2m   end          -
			3m   accept east  east
			60m  look         east`},
		{"a clock set back ends nothing", `
			0s   accept west  west
			-3h  look         west
			-3h  accept west  west
			-170m look        -`},
		{"a replica that drains: a minute without a request is enough", `
			0s     accept west  west
			1m     drain west   -
			1m     accept west  -
			1m     accept east  east
			10m59s look         east`},
		{"a push that goes on may end there", `
			0s     accept west  west
			50s    drain west   west
			55s    accept west  west
			1m54s  look         west
			1m55s  look         -`},
		{"a repository that is pushed all the time leaves after 15 minutes", `
			0s     accept west  west
			10s    drain west   west
			40s    begin        west
			15m9s  look         west
			15m10s look         -
			15m11s accept west  -
			15m12s accept east  east`},
		{"a replica that drains owns nothing new", `
			0s     drain west   -
			1s     accept west  -
			2s     accept east  east
			3s     accept west  east`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { replay(t, row.history) })
	}
}

func replay(t *testing.T, history string) {
	t.Helper()
	const idle = 10 * time.Minute
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var l Lease
	drains := Drains{}
	for line := range strings.Lines(strings.TrimSpace(history)) {
		f := strings.Fields(line)
		after, err := time.ParseDuration(f[0])
		if err != nil {
			t.Fatal(err)
		}
		now := start.Add(after)
		switch f[1] {
		case "accept":
			l = l.Accept(f[2], now, idle, drains)
		case "drain":
			drains[f[2]] = now
		case "begin":
			l.Open++
		case "end":
			l.Open--
			l.Last = now
		}
		owner := "-"
		if l.Live(now, idle, drains) {
			owner = l.Owner
		}
		if want := f[len(f)-1]; owner != want {
			t.Fatalf("after %s: owner is %s, want %s", strings.Join(f[:len(f)-1], " "), owner, want)
		}
	}
}

func TestAcceptKeepsTheTimeOfTheGrant(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	first := Lease{}.Accept("west", start, time.Minute, nil)
	second := first.Accept("east", start.Add(30*time.Second), time.Minute, nil)
	third := second.Accept("east", start.Add(90*time.Second), time.Minute, nil)
	for i, row := range []struct {
		lease Lease
		want  Lease
	}{
		{first, Lease{Owner: "west", Granted: start, Last: start}},
		{second, Lease{Owner: "west", Granted: start, Last: start.Add(30 * time.Second)}},
		{third, Lease{Owner: "east", Granted: start.Add(90 * time.Second), Last: start.Add(90 * time.Second)}},
	} {
		if row.lease != row.want {
			t.Errorf("grant %d: got %v, want %v", i+1, row.lease, row.want)
		}
	}
}

func TestAccepted(t *testing.T) {
	for status, want := range map[int]bool{
		0: false, 100: false, 199: false,
		200: true, 201: true, 202: true, 204: true, 299: true,
		300: false, 307: false, 401: false, 403: false, 404: false, 405: false, 416: false, 429: false,
		500: false, 502: false, 503: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			if got := Accepted(status); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
