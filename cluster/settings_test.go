package cluster

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestUpdatePeers: who is new is joined; who is gone stays a member while it lives.
func TestUpdatePeers(t *testing.T) {
	t.Parallel()
	cable := &cable{cut: map[[2]string]bool{}}
	one, two := start(t, cable, "one", options{}), start(t, cable, "two", options{})
	three := start(t, cable, "three", options{peers: []string{two.Address()}})
	together(t, two, three)
	one.Update(Settings{Peers: []string{two.Address()}, Idle: time.Minute})
	together(t, one, two, three)
	one.Update(Settings{Idle: time.Minute})
	three.Update(Settings{Idle: time.Minute})
	four := start(t, cable, "four", options{})
	three.Update(Settings{Peers: []string{four.Address(), four.Address()}, Idle: time.Minute})
	together(t, one, two, three, four)
}

// TestUpdatePeersAreLeft: whoever is in the file no more is dialled no more.
func TestUpdatePeersAreLeft(t *testing.T) {
	t.Parallel()
	old, oldDials := strangers(t)
	next, nextDials := strangers(t)
	n := start(t, &cable{cut: map[[2]string]bool{}}, "one", options{peers: []string{old}})
	poll(t, "the peer is dialled", func() bool { return oldDials.Load() > 1 })
	n.Update(Settings{Peers: []string{next}, Idle: time.Minute})
	poll(t, "the other one is", func() bool { return nextDials.Load() > 1 })
	before := oldDials.Load() // a dial that was under way has ended: those are a second apart
	poll(t, "it is again and again", func() bool { return nextDials.Load() > 5 })
	if more := oldDials.Load() - before; more > 0 {
		t.Errorf("who is gone was dialled %d times more", more)
	}
}

// strangers closes each connection at once, and counts them.
func strangers(t *testing.T) (address string, dials *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dials = &atomic.Int64{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			conn.Close()
		}
	}()
	return l.Addr().String(), dials
}

// TestUpdateIdle: a lease ends by the idle time of the moment.
func TestUpdateIdle(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	c := &Cluster{table: newTable("one", 10*time.Minute), files: newFiles(), updated: make(chan struct{}, 1)}
	c.table.grant("app", "west", false, now)
	for _, step := range []struct {
		idle, after time.Duration
		want        string
	}{
		{10 * time.Minute, 14 * time.Minute, "west"},
		{time.Minute, 14 * time.Minute, ""},
		{time.Minute, 80 * time.Second, "west"},
		{time.Hour, 80 * time.Minute, "west"},
	} {
		for range 3 { // nobody reads what was updated
			c.Update(Settings{Idle: step.idle})
		}
		g, _ := c.table.owner("app", now.Add(step.after))
		if g.Owner != step.want {
			t.Errorf("with %v, %v after the last write: %q, want %q", step.idle, step.after, g.Owner, step.want)
		}
	}
}

func TestCheckSettings(t *testing.T) {
	c := &Cluster{cfg: Config{Name: "one", Listen: "127.0.0.1:0"}}
	for _, test := range []struct {
		settings Settings
		keys     [][]byte
		good     bool
	}{
		{Settings{Idle: time.Minute, Peers: []string{"127.0.0.2"}}, nil, true},
		{Settings{Peers: []string{"127.0.0.2"}}, nil, false},
		{Settings{Idle: time.Minute, Peers: []string{"192.0.2.1"}}, nil, false},
		{Settings{Idle: time.Minute, Peers: []string{"192.0.2.1"}}, [][]byte{make([]byte, 16)}, true},
	} {
		c.cfg.Keys = test.keys
		if err := c.Check(test.settings); (err == nil) != test.good {
			t.Errorf("%+v: %v", fmt.Sprint(test.settings), err)
		}
	}
}
