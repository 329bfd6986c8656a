package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"pgregory.net/rapid"
)

func FuzzMessage(f *testing.F) {
	good := message{V: 1, Type: typeGrants, From: "gw1", Boot: "0123", Up: 5, ID: 7,
		Grants: []wireGrant{{"app", "westus", 1, 2, "gw1", true, true, 3}},
		Reports: []memberReport{{"gw1", "0123", 1,
			map[string]Report{"westus": {true, map[string]bool{"203.0.113.1": false}, []string{"203.0.113.1"}, "westus@1"}}}},
		Digest: make([]byte, 8*buckets)}
	f.Add(good.encode())
	f.Add([]byte(`{"v":2,"type":"later","from":"gw1","boot":"1","more":{}}`))
	f.Add([]byte(`{"v":1,"type":"ask","from":"gw1","boot":"1","repository":"a\u0000b","replica":"x"}`))
	f.Add([]byte(`{"v":1,"type":"grants","from":"gw1","boot":"1","grants":[{"r":"a","o":"b","m":"c","w":9223372036854775807,"t":9223372036854775807}]}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil {
			return
		}
		tab := newTable("gw1", idle)
		for _, w := range m.Grants {
			tab.merge(w.grant(epoch), epoch)
			if g := w.grant(epoch); g.Last.After(epoch) || len(g.Repository) > maxRepository {
				t.Fatalf("%+v", g)
			}
		}
		if now := tab.clock.Now(epoch); now.WallMS > epoch.Add(hlc.MaxAhead).UnixMilli()+1 {
			t.Fatalf("the clock runs away: %v", now)
		}
		again, err := decode(m.encode())
		if err != nil || string(again.encode()) != string(m.encode()) {
			t.Fatalf("%v: %s, then %s", err, m.encode(), again.encode())
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct{ name, data string }{
		{"nothing", ``}, {"no object", `[]`}, {"no version", `{"type":"ask","from":"a","boot":"b"}`},
		{"no sender", `{"v":1,"type":"digest","boot":"b"}`}, {"no process", `{"v":1,"type":"digest","from":"a"}`},
		{"long sender", `{"v":1,"type":"digest","boot":"b","from":"` + strings.Repeat("a", maxName+1) + `"}`},
		{"long process", `{"v":1,"type":"digest","from":"a","boot":"` + strings.Repeat("b", maxBoot+1) + `"}`},
		{"negative time", `{"v":1,"type":"digest","from":"a","boot":"b","up":-1}`},
		{"empty question", `{"v":1,"type":"ask","from":"a","boot":"b"}`},
		{"too large", strings.Repeat(" ", maxState) + `{}`},
	}
	for _, tt := range tests {
		if _, err := decode([]byte(tt.data)); err == nil {
			t.Errorf("%s was taken", tt.name)
		}
	}
	m, err := decode([]byte(`{"v":1,"type":"grants","from":"a","boot":"b","grants":[{"r":"ok","o":"x","m":"a"},{"r":"bad","o":"","m":"a"},{"r":"old","o":"x","m":"a","t":-1}],"reports":[{"m":""},{"m":"a"}]}`))
	if err != nil || len(m.Grants) != 1 || len(m.Reports) != 1 {
		t.Errorf("%v: %+v", err, m)
	}
}

func longest(n int) wireGrant {
	return wireGrant{strings.Repeat("r", maxRepository-6) + fmt.Sprintf("%06d", n), strings.Repeat("o", maxName),
		1 << 50, 1 << 31, strings.Repeat("m", maxName), true, true, 1 << 40}
}

func TestPacketsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := message{V: wireVersion, Type: typeGrants, From: strings.Repeat("f", maxName),
			Boot: strings.Repeat("b", 16), Up: 1 << 50, ID: 1<<64 - 1}
		var want, got []wireGrant
		for i := range rapid.IntRange(0, 40).Draw(t, "count") {
			g := longest(i)
			g.Repository = g.Repository[rapid.IntRange(0, maxRepository-1).Draw(t, "from"):]
			want = append(want, g)
		}
		for _, p := range packets(m, want) {
			if len(p) > maxPacket {
				t.Fatalf("%d bytes", len(p))
			}
			back, err := decode(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, back.Grants...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d of %d grants", len(got), len(want))
		}
	})
}

func TestDigestsAndQuestionsFitAPacket(t *testing.T) {
	m := message{V: wireVersion, Type: typeDigest, From: strings.Repeat("f", maxName), Boot: newBoot(), Up: 1 << 50,
		Digest: make([]byte, 8*buckets), Seen: 1 << 60}
	if n := len(m.encode()); n > maxPacket {
		t.Errorf("digest of %d bytes", n)
	}
	m = message{V: wireVersion, Type: typeAsk, From: m.From, Boot: m.Boot, Up: m.Up, ID: 1<<64 - 1,
		Repository: longest(0).Repository, Replica: longest(0).Owner}
	if n := len(m.encode()); n > maxPacket {
		t.Errorf("question of %d bytes", n)
	}
}

func TestAStateIsBounded(t *testing.T) {
	var m message
	for i := range 40_000 {
		m.Grants = append(m.Grants, longest(i))
	}
	wide := map[string]Report{}
	for i := range maxReplicas {
		fronts := map[string]bool{}
		for j := range maxFronts {
			fronts[fmt.Sprintf("%064d", j)] = true
		}
		wide[fmt.Sprintf("%064d", i)] = Report{Upstream: true, Fronts: fronts}
	}
	for range 64 {
		m.Reports = append(m.Reports, memberReport{"m", "b", 1, wide})
	}
	small := fit(m)
	if n := len(small.encode()); n > maxState || n < maxState/2 {
		t.Errorf("%d bytes", n)
	}
	if small.Grants[len(small.Grants)-1] != m.Grants[len(m.Grants)-1] {
		t.Error("the newest was dropped")
	}
}

func TestMetaFits(t *testing.T) {
	data := meta{"westus", strings.Repeat("<", 200), newBoot(), ""}.encode(512)
	var back meta
	if err := json.Unmarshal(data, &back); err != nil || len(data) > 512 || back.Here != "westus" ||
		back.Version != "" {
		t.Errorf("%v %s", err, data)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Name: "gw1", Listen: "127.0.0.1:0", Settings: Settings{Idle: idle}}
	tests := []struct {
		name   string
		change func(*Config)
		ok     bool
	}{
		{"as it is", func(*Config) {}, true},
		{"loopback peers", func(c *Config) { c.Peers = []string{"127.0.0.2", "[::1]:7946"} }, true},
		{"a peer beyond", func(c *Config) { c.Peers = []string{"192.0.2.1"} }, false},
		{"a peer by name", func(c *Config) { c.Peers = []string{"localhost"} }, false},
		{"all addresses", func(c *Config) { c.Listen = ":7946" }, false},
		{"an address beyond", func(c *Config) { c.Advertise = "192.0.2.1" }, false},
		{"with a key", func(c *Config) { c.Listen, c.Keys = ":7946", [][]byte{{1}} }, true},
		{"no name", func(c *Config) { c.Name = "" }, false},
		{"no idle", func(c *Config) { c.Idle = 0 }, false},
	}
	for _, tt := range tests {
		c := good
		tt.change(&c)
		if err := c.check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestLeaseLivesWhileItIsUsed(t *testing.T) {
	a, b := newTable("a", idle), newTable("b", idle)
	g, fresh := a.grant("app", "westus", false, epoch)
	if !fresh || b.merge(g, epoch).refused {
		t.Fatal("no grant")
	}
	now := epoch
	for range 100 { // a write every second, every fourth announcement lost
		now = now.Add(time.Second)
		if g, known, prolonged := a.keep("app", now); !known {
			t.Fatal("ended while in use")
		} else if prolonged && now.Unix()%4 != 0 {
			b.merge(g, now)
		}
	}
	if _, ok := b.owner("app", now.Add(idle-1)); !ok {
		t.Error("the copy ended before idle had passed")
	}
	if _, ok := a.owner("app", now.Add(a.life())); ok {
		t.Error("never ends")
	}
	late := g
	late.Last = now.Add(-2 * a.life())
	if b.merge(late, now.Add(time.Hour)); b.count() > 1 {
		t.Error("what is over was kept")
	}
	if b.digest(now.Add(time.Hour)); b.count() != 0 {
		t.Error("what is over was not collected")
	}
}

func TestWhatIsUnderWayProlongs(t *testing.T) {
	now := epoch
	c := &Cluster{table: newTable("a", idle), members: newMembers("a"), now: func() time.Time { return now }}
	c.table.grant("app", "westus", false, now)
	for _, owner := range []string{"eastus", "westus"} { // only its owner's
		now = now.Add(c.table.life() - 1)
		c.Keep("app", owner)
		if got := c.Owner("app"); got != "westus" {
			t.Fatalf("%s: %q", owner, got)
		}
		now = now.Add(2)
		if got := c.Owner("app"); (got != "") != (owner == "westus") {
			t.Errorf("kept by %s: %q", owner, got)
		}
		c.table.grant("app", "westus", false, now)
	}
}

func TestWhoHasNotHeardIsTold(t *testing.T) {
	at := func(wall int64, owner string, ended bool) Grant {
		return Grant{"app", owner, hlc.Stamp{WallMS: wall, Member: "b"}, false, ended, epoch}
	}
	tests := []struct {
		name             string
		known, told      Grant
		better, conflict bool
	}{
		{"the same", at(1, "x", false), at(1, "x", false), false, false},
		{"a later one", at(1, "x", false), at(2, "y", false), true, true},
		{"an earlier one", at(2, "x", false), at(1, "y", false), false, true},
		{"one that has ended", at(1, "x", true), at(1, "x", false), true, false},
		{"its end", at(1, "x", false), at(1, "x", true), false, false},
	}
	for _, tt := range tests {
		tab := newTable("a", idle)
		tab.merge(tt.known, epoch)
		if got := tab.merge(tt.told, epoch); got.better != tt.better || got.conflict != tt.conflict {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
