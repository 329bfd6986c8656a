package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// net joins gossips in a test. It loses some of what is sent, and all that goes to whoever is cut off.
type net struct {
	mu   sync.Mutex
	of   map[string]*Gossip
	cut  map[string]bool
	full map[string]bool // members that cannot record anything
	lose int             // of a hundred
}

func (n *net) tell(from, to string, data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if g := n.of[to]; g != nil && !n.cut[from] && !n.cut[to] && rand.IntN(100) >= n.lose {
		g.Hear(from, data)
	}
}

func (n *net) record(name string, l *Ledger, w Write) ([]Entry, error) {
	n.mu.Lock()
	full := n.full[name]
	n.mu.Unlock()
	if full {
		return nil, ErrUnavailable
	}
	return l.Record(w, 0)
}

// fakeWire is one member's way to the others.
type fakeWire struct {
	tell   func(member string, data []byte)
	others []string
}

func (w fakeWire) Tell(member string, data []byte) { w.tell(member, data) }
func (w fakeWire) Others() []string                { return w.others }

func (w fakeWire) TellAll(data []byte) {
	for _, to := range w.others {
		w.tell(to, data)
	}
}

func (n *net) join(t *testing.T, ctx context.Context, name string, members []string) *Ledger {
	l, err := attempt(t.TempDir(), name, Named("west", "east"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	others := slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m == name })
	g := NewGossip(l, fakeWire{func(to string, data []byte) { n.tell(name, to, data) }, others},
		slog.New(slog.DiscardHandler))
	g.recordHere = func(w Write, _ time.Duration) ([]Entry, error) { return n.record(name, l, w) }
	n.mu.Lock()
	n.of[name] = g
	n.mu.Unlock()
	go g.Run(ctx)
	return l
}

func pushTag(t *testing.T, l *Ledger, tag string, i int) {
	t.Helper()
	if _, err := l.Push(Reference{Repository: "app", Name: tag}, Content{Digest: fmt.Sprintf("sha256:%064x", i),
		Size: 1}, "west", Request{}); err != nil {
		t.Error(err)
	}
}

// Whatever is lost on the way, and whoever was away, all know all in the end.
func TestGossipsAgree(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	members := []string{"gw1", "gw2", "gw3"}
	n := &net{of: map[string]*Gossip{}, cut: map[string]bool{"gw3": true}, lose: 30}
	var all []*Ledger
	for _, name := range members {
		all = append(all, n.join(t, ctx, name, members))
	}
	pushes := 300
	if testing.Short() {
		pushes = 100
	}
	for i := range pushes {
		by := rand.IntN(3)
		pushTag(t, all[by], fmt.Sprint("v", rand.IntN(100)), i)
	}
	if _, err := all[0].Delete(Reference{Repository: "app", Name: "v1"}, "west", Request{}); err != nil {
		t.Error(err)
	}
	n.mu.Lock()
	n.cut["gw3"] = false
	n.mu.Unlock()
	poll(t, "all know the same", func() bool { return alike(t, all) })
}

func alike(t *testing.T, all []*Ledger) bool {
	t.Helper()
	var first []Entry
	for i, l := range all {
		entries, err := l.List("app", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = entries
		}
		if len(entries) < 100 || !slices.EqualFunc(first, entries, func(a, b Entry) bool {
			return a.Name == b.Name && a.Digest == b.Digest && a.Deleted == b.Deleted && a.Stamp == b.Stamp
		}) {
			return false
		}
	}
	return true
}

// What is recorded is told at once.
func TestNewsIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	members := []string{"gw1", "gw2"}
	n := &net{of: map[string]*Gossip{}, cut: map[string]bool{}}
	one, two := n.join(t, ctx, "gw1", members), n.join(t, ctx, "gw2", members)
	pushTag(t, one, "v1", 1)
	poll(t, "it is known", func() bool {
		e, known, err := two.Get(Reference{Repository: "app", Name: "v1"})
		return err == nil && known && slices.Equal(e.Confirmed, []string{"west"})
	})
	n.of["gw2"].Hear("gw1", []byte("{"))
	n.of["gw2"].Hear("gw1", []byte(`{"page": {"rows": 1}}`))
	pushTag(t, one, "v2", 2)
	poll(t, "it goes on after what cannot be read", func() bool {
		_, known, err := two.Get(Reference{Repository: "app", Name: "v2"})
		return err == nil && known
	})
}

// tellAll is the way to others that are told all at once, and cannot be asked.
type tellAll chan []byte

func (tellAll) Tell(string, []byte)   {}
func (tellAll) Others() []string      { return nil }
func (w tellAll) TellAll(data []byte) { w <- data }

// TestChangesAreTold: a change goes out by itself, before anybody asks.
func TestChangesAreTold(t *testing.T) {
	l, _ := one(t)
	told := make(tellAll, 10)
	go NewGossip(l, told, slog.New(slog.DiscardHandler)).Run(t.Context())
	for n := 1; ; n++ {
		push(t, l, tag(fmt.Sprint("v", n)), digest(n), "west")
		select {
		case <-told:
			return
		case <-time.After(time.Second): // it had not begun to follow the ledger
		}
		if n == 60 {
			t.Fatal("nobody was told")
		}
	}
}

// Of much that is new the newest is told: that is what somebody may ask for next.
func TestTheNewestIsTold(t *testing.T) {
	l := start(t, t.TempDir(), "gw1", newWall())
	defer l.Close()
	for i := range newsRows {
		push(t, l, tag(fmt.Sprint("v", i)), digest(i), "east")
	}
	var told news
	wire := fakeWire{func(_ string, data []byte) { must(t, json.Unmarshal(data, &told)) }, []string{"gw2"}}
	g := NewGossip(l, wire, slog.New(slog.DiscardHandler))
	last := must1(g.announce(0))(t)
	page := must1(DecodePage(told.Page))(t)
	if n := len(page.Rows); n != newsRows || last != 2*newsRows || page.Rows[n-1].Name != fmt.Sprint("v", newsRows-1) {
		t.Errorf("%d rows up to %d, the last %v", n, last, page.Rows[n-1].Reference)
	}
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 3*time.Minute {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
