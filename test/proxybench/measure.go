package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// bench is all that is measured: each case with each peer, in each round.
type bench struct {
	cases  []benchCase
	peers  []peer
	rounds int
	load   amounts
	// Where CPU profiles of gateways go, which then have to be built for that; "": there are none.
	profiles string
	out      io.Writer // what is going on
}

// amounts are the sizes that the flags give.
type amounts struct {
	content
	streams  int // connections that move blobs, at once
	blobs    int // moved for one measurement
	requests int // small ones for one measurement
}

func (a amounts) of(c benchCase) load {
	l := load{content: a.content, at: c.at, times: a.blobs}
	if c.small {
		l.times = a.requests
	}
	if l.at == 0 {
		l.at = a.streams
	}
	return l
}

// results are the CPU times per GiB or request, by case and peer, one for each round.
type results map[string]map[string][]time.Duration

func (r results) add(c, peer string, d time.Duration) {
	if r[c] == nil {
		r[c] = map[string][]time.Duration{}
	}
	r[c][peer] = append(r[c][peer], d)
}

// run measures the peers in turn, each round beginning with another one, so that what else the machine does meets all.
func (b bench) run(ctx context.Context, dir, backend string, tls *identity) (results, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := results{}
	fronts := map[bool][]*front{}
	for _, secure := range []bool{false, true} {
		for _, p := range b.peers {
			own := tls
			if !secure {
				own = nil
			}
			f, err := p.start(ctx, dir, backend, own)
			if err != nil {
				return nil, err
			}
			fronts[secure] = append(fronts[secure], f)
		}
	}
	for round := range b.rounds {
		for _, c := range b.cases {
			for i := range b.peers {
				f := fronts[c.secure][(i+round)%len(b.peers)]
				cpu, err := b.measure(ctx, c, f, round)
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", f.peer.name, c.name, err)
				}
				r.add(c.name, f.peer.name, cpu)
				fmt.Fprintf(b.out, "round %d: %-36s %-20s %s\n", round+1, c.name, f.peer.name, c.figure(cpu))
			}
		}
	}
	return r, nil
}

// warmth: what is measured comes after a part of it that is not. Then a proxy has its connections to the backend.
const warmth = 10

// measure is the CPU time of a front per GiB, or per request.
func (b bench) measure(ctx context.Context, c benchCase, f *front, round int) (time.Duration, error) {
	l := b.load.of(c)
	s, err := c.open(ctx, f, l)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if err := s.run(l.times / warmth); err != nil {
		return 0, err
	}
	used, err := f.running.cpuFor(func() error {
		if b.profiles == "" || !f.peer.gateway {
			return s.run(l.times)
		}
		return f.profile(ctx, filepath.Join(b.profiles, profileName(c, round)), func() error { return s.run(l.times) })
	})
	if err != nil {
		return 0, err
	}
	if c.small {
		return used / time.Duration(l.times), nil
	}
	moved := float64(l.times) * float64(len(l.blob)) / (1 << 30)
	return time.Duration(float64(used) / moved), nil
}

func (c benchCase) figure(cpu time.Duration) string {
	if c.small {
		return fmt.Sprintf("%.0f µs", float64(cpu)/float64(time.Microsecond))
	}
	return fmt.Sprintf("%.2f s/GiB", cpu.Seconds())
}
