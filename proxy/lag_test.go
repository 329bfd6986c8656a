package proxy

import (
	"testing"
	"time"
)

func TestLag(t *testing.T) {
	const mib = 1 << 20
	l := Limits{Still: 4 * time.Second, Slow: 5 * time.Second}
	type look struct {
		at     int // s
		moved  int64
		client bool
		down   bool
		others float64
		left   bool
	}
	steps := func(from, to int, moved, by int64) (looks []look) {
		for at := from; at <= to; at++ {
			looks = append(looks, look{at: at, moved: moved + int64(at-from)*by})
		}
		return looks
	}
	for _, test := range []struct {
		name  string
		looks []look
		want  leaveReason // of the last look; all before keep up
	}{
		{"steady", steps(1, 60, mib, mib), ""},
		{"silent for a moment", append(steps(1, 9, mib, mib), look{at: 12, moved: 9 * mib}), ""},
		{"silent", append(steps(1, 9, mib, mib), look{at: 12, moved: 9 * mib}, look{at: 13, moved: 9 * mib}), leaveStalled},
		{"silent from the first byte on", steps(1, 4, 0, 0), leaveStalled},
		{"silent and down", append(steps(1, 9, mib, mib), look{at: 10, moved: 9 * mib, down: true}), leaveDown},
		{"down, and it moves", append(steps(1, 9, mib, mib), look{at: 10, moved: 10 * mib, down: true}), ""},
		{"another body was taken from it", append(steps(1, 9, mib, mib), look{at: 10, moved: 9 * mib, left: true}),
			leaveStalled},
		{"another body was, and this one moves", append(steps(1, 9, mib, mib), look{at: 10, moved: 10 * mib, left: true}),
			""},
		{"the client takes nothing", append(steps(1, 9, mib, mib), look{at: 20, moved: 9 * mib, client: true},
			look{at: 30, moved: 9 * mib, client: true}), ""},
		{"then the replica brings nothing", append(steps(1, 9, mib, mib), look{at: 20, moved: 9 * mib, client: true},
			look{at: 23, moved: 9 * mib}, look{at: 24, moved: 9 * mib}), leaveStalled},
		{"down, and it is for the client to take more", append(steps(1, 9, mib, mib),
			look{at: 10, moved: 9 * mib, client: true, down: true}), ""},
		{"slow since then", append(steps(1, 5, mib, mib), steps(6, 10, 5*mib, 1<<10)...), leaveSlow},
		{"half as fast since then", append(steps(1, 5, 100_000, 100_000), steps(6, 60, 500_000, 50_000)...), ""},
		{"slow as ever", steps(1, 60, 1<<10, 1<<10), ""},
		{"slow as ever, and another one is not", append(steps(1, 4, 1<<10, 1<<10), look{at: 5, moved: 5 << 10, others: mib}),
			leaveSlow},
		{"and another one is hardly faster", append(steps(1, 4, 1<<10, 1<<10),
			look{at: 5, moved: 5 << 10, others: 9 << 10}), ""},
		{"above the floor, however fast another one is", append(steps(1, 4, 200<<10, 200<<10),
			look{at: 5, moved: 1000 << 10, others: 1 << 30}), ""},
		{"slow for a client that takes little", append(steps(1, 5, mib, mib), look{at: 6, moved: 5*mib + 1},
			look{at: 7, moved: 5*mib + 2, client: true}, look{at: 8, moved: 5*mib + 3}, look{at: 11, moved: 5*mib + 4}), ""},
	} {
		begun := time.Unix(0, 0)
		g := newLag(begun, 0)
		for i, s := range test.looks {
			var why leaveReason
			g, why = g.look(l, begun.Add(time.Duration(s.at)*time.Second), bodySeen{
				moved: s.moved, client: s.client, up: !s.down, others: s.others, left: s.left,
			})
			if last := i == len(test.looks)-1; last && why != test.want || !last && why != "" {
				t.Errorf("%s: %q at %d s", test.name, why, s.at)
				break
			}
		}
	}
}
