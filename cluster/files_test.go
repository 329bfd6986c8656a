package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDiffering(t *testing.T) {
	of := func(pairs ...string) map[string]string {
		all := map[string]string{}
		for _, p := range pairs {
			key, value, _ := strings.Cut(p, "=")
			all[key] = value
		}
		return all
	}
	for _, test := range []struct {
		name         string
		ours, theirs map[string]string
		want         []string
	}{
		{"nothing", of(), of(), nil},
		{"the same", of("hostname=1", "lease.idle=2"), of("lease.idle=2", "hostname=1"), nil},
		{"another value", of("hostname=1", "lease.idle=2"), of("hostname=1", "lease.idle=3"), []string{"lease.idle"}},
		{"one has a key", of("hostname=1", "lease.idle=2"), of("hostname=1"), []string{"lease.idle"}},
		{"the other has it", of("hostname=1"), of("hostname=1", "lease.idle=2"), []string{"lease.idle"}},
		{"a replica that one has", of("replicas.west=1", "replicas.west.bias=2"), of(), []string{"replicas.west"}},
		{"a replica that both have", of("replicas.west=1", "replicas.west.bias=2"), of("replicas.west=1"),
			[]string{"replicas.west.bias"}},
		{"in order", of("b=1", "a=1", "c=1"), of("a=2", "c=2", "b=2"), []string{"a", "b", "c"}},
	} {
		if got := differing(test.ours, test.theirs); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if alike := hashOf(test.ours) == hashOf(test.theirs); alike != (len(test.want) == 0) {
			t.Errorf("%s: alike %t by their hashes", test.name, alike)
		}
	}
}

func TestDifferences(t *testing.T) {
	begin := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	type told struct{ lasts, warn, ended string }
	var d differences
	for _, step := range []struct {
		at   time.Duration
		keys string
		want told
	}{
		{0, "", told{}},
		{0, "lease.idle", told{}},
		{10 * time.Second, "", told{}}, // a rollout: nobody hears of it
		{20 * time.Second, "lease.idle", told{}},
		{49 * time.Second, "lease.idle", told{}},
		{50 * time.Second, "dns.ttl lease.idle", told{lasts: "lease.idle"}},
		{60 * time.Second, "dns.ttl lease.idle", told{}},
		{80 * time.Second, "dns.ttl lease.idle", told{lasts: "dns.ttl", warn: "lease.idle"}},
		{90 * time.Second, "dns.ttl", told{ended: "lease.idle"}},
		{100 * time.Second, "dns.ttl", told{}},
		{110 * time.Second, "dns.ttl", told{warn: "dns.ttl"}},
		{time.Hour, "dns.ttl", told{}},
		{time.Hour, "", told{ended: "dns.ttl"}},
		{time.Hour, "", told{}},
		{2 * time.Hour, "a b", told{}},
		{3 * time.Hour, "a b", told{warn: "a b"}},
	} {
		var got toTell
		d, got = d.step(strings.Fields(step.keys), begin.Add(step.at))
		if text := (told{strings.Join(got.lasts, " "), strings.Join(got.warn, " "), strings.Join(got.ended, " ")}); text != step.want {
			t.Errorf("after %v with %q: %+v, want %+v", step.at, step.keys, text, step.want)
		}
	}
}

func TestNamed(t *testing.T) {
	var keys []string
	for i := range 12 {
		keys = append(keys, fmt.Sprint(i))
	}
	if got, want := named(keys), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestValidShared(t *testing.T) {
	many := map[string]string{}
	for i := range maxKeys + 1 {
		many[fmt.Sprint(i)] = "0"
	}
	for _, test := range []struct {
		name   string
		hash   string
		shared map[string]string
		want   bool
	}{
		{"one key", "00", map[string]string{"hostname": "01"}, true},
		{"no hash", "", map[string]string{"hostname": "01"}, false},
		{"a hash that is long", strings.Repeat("0", maxHash+1), nil, false},
		{"a key that is long", "00", map[string]string{strings.Repeat("k", maxKey+1): "01"}, false},
		{"a key with a line's end", "00", map[string]string{"a\nb": "01"}, false},
		{"a value that is none", "00", map[string]string{"a": ""}, false},
		{"too many", "00", many, false},
	} {
		if got := validShared(test.hash, test.shared); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

// TestFilesOfMembers: three files, of which one differs; then it is given the same.
func TestFilesOfMembers(t *testing.T) {
	t.Parallel()
	one := map[string]string{"hostname": "1", "replicas.west": "2"}
	other := map[string]string{"hostname": "1", "replicas.west": "2", "replicas.east": "3", "lease.idle": "4"}
	_, nodes := three(t, options{shared: one}, options{shared: one}, options{shared: other})
	differs := func(n *node, of string) string {
		for _, m := range n.Members() {
			if m.Name == of {
				return strings.Join(m.Differs, " ")
			}
		}
		return "?"
	}
	poll(t, "the third's file is known to differ", func() bool {
		return differs(nodes[0], "gw3") == "lease.idle replicas.east" && differs(nodes[1], "gw3") == "lease.idle replicas.east" &&
			differs(nodes[2], "gw1") == "lease.idle replicas.east" && differs(nodes[0], "gw2") == ""
	})
	if got := nodes[2].metric(t, "fairlead_cluster_config_differs", "key", "lease.idle"); got != 2 {
		t.Errorf("the third counts %v members with another lease.idle", got)
	}
	if got := nodes[0].Differing(); !slices.Equal(got, []string{"gw3: lease.idle, replicas.east"}) {
		t.Errorf("for people: %q", got)
	}
	nodes[2].Update(Settings{Peers: nodes[2].cfg.Peers, Idle: time.Minute, Shared: one})
	poll(t, "all files are alike", func() bool {
		for _, n := range nodes {
			if len(n.Differing()) > 0 || n.metric(t, "fairlead_cluster_config_differs", "", "") != 0 {
				return false
			}
		}
		return true
	})
	nodes[1].SetDraining(true)
	poll(t, "a member drains", func() bool { return nodes[0].Members()[1].Draining && nodes[1].Members()[1].Draining })
	nodes[1].stop()
	poll(t, "nothing is left of who has gone", func() bool {
		nodes[0].files.mu.Lock()
		defer nodes[0].files.mu.Unlock()
		return len(nodes[0].files.byMember) == 1
	})
}

// TestFilesAreSaid: what differs for longer than a rollout takes is one warning, and one line ends it.
func TestFilesAreSaid(t *testing.T) {
	var log strings.Builder
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	f := newFiles()
	f.setOwn(map[string]string{"lease.idle": "1"})
	c := &Cluster{files: f, log: textLog(&log)}
	theirs := map[string]string{"lease.idle": "2"}
	for range 300 {
		if told := f.heard("gw2", hashOf(theirs), false, now); !told.empty() {
			c.tellDifferences("gw2", told)
		}
		f.learn("gw2", hashOf(theirs), theirs)
		now = now.Add(time.Second)
	}
	f.setOwn(theirs)
	c.tellDifferences("gw2", f.heard("gw2", hashOf(theirs), false, now))
	if got := strings.Count(log.String(), "\n"); got != 3 {
		t.Errorf("%d lines, want 3", got)
	}
	for _, want := range []string{"level=INFO msg=\"a member's file differs", "level=WARN msg=\"a member's file still differs",
		"level=INFO msg=\"a member's file is as", "member=gw2 keys=lease.idle"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
}

// TestFilesOfOthersAreFew: whatever is heard, no more than so many members are kept.
func TestFilesOfOthersAreFew(t *testing.T) {
	f := newFiles()
	for i := range 10 * maxMembers {
		f.heard(fmt.Sprint(i), "00", false, time.Time{})
		f.learn(fmt.Sprint(i), "00", map[string]string{"a": "0"})
	}
	if len(f.byMember) != maxMembers {
		t.Errorf("%d are kept", len(f.byMember))
	}
}

// TestFileOfNeighbours: a member of the release before says nothing of its file, and is not said to differ.
func TestFileOfNeighbours(t *testing.T) {
	f := newFiles()
	f.setOwn(map[string]string{"lease.idle": "1"})
	f.heard("old", "", false, time.Time{})
	if hash, keys, _ := f.of("old"); hash != "" || len(keys) > 0 {
		t.Errorf("%q, %v", hash, keys)
	}
	f.heard("new", "00", false, time.Time{})
	if _, keys, _ := f.of("new"); !slices.Equal(keys, []string{differingKey}) {
		t.Errorf("before its keys have come: %v", keys)
	}
}
