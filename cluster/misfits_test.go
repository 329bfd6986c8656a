package cluster

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMisfits(t *testing.T) {
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	var log strings.Builder
	m := &misfits{
		log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }, seen: map[string]misfit{},
		count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "n"}, []string{"what"}),
	}
	c := &Cluster{misfits: m}
	at := func(d time.Duration) int64 { return now.Add(d).UnixMilli() }
	for _, step := range []struct {
		name string
		do   func()
		want []string // beginnings
	}{
		{"a line of every day", func() { m.line("[DEBUG] memberlist: Stream connection from=127.0.0.1:7946") }, nil},
		{"another key", func() {
			m.line("[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=192.0.2.7:7946")
		}, []string{"192.0.2.7: its messages do not open"}},
		{"no key there", func() {
			m.line("[ERR] memberlist: encryption is configured but remote state is not encrypted from=192.0.2.8:50000")
		}, []string{"192.0.2.8: its messages do not open"}},
		{"the same name", func() { m.fits("gw", meta{Hostname: "a.test"}, "a.test") }, nil},
		{"an older version", func() { m.fits("gw", meta{}, "a.test"); m.clock("gw", 0) }, nil},
		{"another name", func() { m.fits("gw", meta{Hostname: "b.test"}, "a.test") },
			[]string{"gw: it serves b.test and this gateway a.test"}},
		{"a clock that is near", func() { m.clock("gw", at(15*time.Second)) }, nil},
		{"a clock that is ahead", func() { m.clock("gw", at(90*time.Second)) },
			[]string{"gw: its clock is 1m30s from ours"}},
		{"a clock that is behind", func() { m.clock("gw", at(-time.Hour)) },
			[]string{"gw: its clock is -1h0m0s from ours"}},
	} {
		step.do()
		got := c.Misfits()
		if !slices.EqualFunc(got, step.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
		now = now.Add(time.Hour)
	}
	if got := c.Misfits(); len(got) > 0 {
		t.Errorf("an hour later: %q", got)
	}
	before := strings.Count(log.String(), "does not fit")
	for range 100 {
		m.clock("gw", at(time.Hour))
		now = now.Add(time.Second)
	}
	if told := strings.Count(log.String(), "does not fit") - before; told != 2 {
		t.Errorf("it was logged %d times in 100 s, want 2", told)
	}
	for i := range 10 * maxMembers {
		m.fits(strings.Repeat("x", i%maxName), meta{Hostname: strings.Repeat("y", i)}, "a.test")
		m.line("no installed keys could decrypt the message from=192.0.2." + strings.Repeat("1", i) + ":7946")
	}
	if len(m.seen) > maxMembers {
		t.Errorf("%d are kept", len(m.seen))
	}
}

// TestMisfitsOnTheWire: memberlist's words are what they are taken for.
func TestMisfitsOnTheWire(t *testing.T) {
	t.Parallel()
	cable := &cable{cut: map[[2]string]bool{}}
	key := func(b byte) [][]byte { return [][]byte{[]byte(strings.Repeat(string(b), 32))} }
	one := start(t, cable, "one", options{keys: key('a'), hostname: "a.test"})
	start(t, cable, "stranger", options{keys: key('b'), hostname: "a.test", peers: []string{one.Address()}})
	start(t, cable, "other", options{keys: key('a'), hostname: "b.test", peers: []string{one.Address()}})
	for _, want := range []string{"127.0.0.1: its messages do not open", "other: it serves b.test"} {
		poll(t, want, func() bool {
			return slices.ContainsFunc(one.Misfits(), func(text string) bool { return strings.HasPrefix(text, want) })
		})
	}
}
