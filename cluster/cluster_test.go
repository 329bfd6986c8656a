package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func plain(nodes []*node) []*Cluster {
	var out []*Cluster
	for _, n := range nodes {
		out = append(out, n.Cluster)
	}
	return out
}

func TestRacingGrantsHaveOneOwner(t *testing.T) {
	t.Parallel()
	_, nodes := three(t)
	surely, healed := 0, 0
	for i := range 200 {
		repository := fmt.Sprintf("team/app-%d", i)
		var owners [2]string
		var arbitrated [2]bool
		var wg sync.WaitGroup
		for j := range 2 {
			n := nodes[(i+j)%3]
			wg.Go(func() { owners[j], arbitrated[j] = n.Accept(t.Context(), repository, "at-"+n.cfg.Name) })
		}
		wg.Wait()
		switch {
		case owners[0] == owners[1]:
			surely++
		case arbitrated[0] && arbitrated[1]:
			t.Errorf("%s: two owners %v, both arbitrated", repository, owners)
		default:
			healed++ // a packet was lost for half a second: a machine that is very busy
		}
	}
	poll(t, "all know all", func() bool {
		for i := range 200 {
			if !agree(nodes, fmt.Sprintf("team/app-%d", i)) {
				return false
			}
		}
		return true
	})
	t.Logf("%d with one owner, %d healed", surely, healed)
}

func TestPartitionHealsToTheEarlierGrant(t *testing.T) {
	t.Parallel()
	net, nodes := three(t)
	net.isolate(nodes[2].Cluster, plain(nodes), true)
	first, _ := nodes[2].Accept(t.Context(), "app", "at-gw3")
	second, _ := nodes[0].Accept(t.Context(), "app", "at-gw1")
	if first == second {
		t.Fatalf("both %s: the cut does not cut", first)
	}
	poll(t, "the isolated member is alone", func() bool {
		return len(nodes[2].Members()) == 1 &&
			len(nodes[0].Members()) == 2
	})
	for i := range 50 {
		nodes[i%3].Accept(t.Context(), fmt.Sprintf("more-%d", i), "at-gw1")
	}
	net.isolate(nodes[2].Cluster, plain(nodes), false)
	poll(t, "all agree again", func() bool {
		for i := range 50 {
			if !agree(nodes, fmt.Sprintf("more-%d", i)) {
				return false
			}
		}
		return agree(nodes, "app")
	})
	if got := nodes[0].Owner("app"); got != first {
		t.Errorf("owner %s, granted first was %s", got, first)
	}
	if nodes[0].metric(t, "fairlead_cluster_conflicts_total", "", "")+nodes[2].metric(t,
		"fairlead_cluster_conflicts_total", "", "") == 0 {
		t.Error("no conflict was counted")
	}
	together(t, nodes...)
}

// A cut that ends before anybody is held for dead makes no member join: digests have to find what was lost.
func TestAShortCutIsRepaired(t *testing.T) {
	t.Parallel()
	net, nodes := three(t)
	repository := repositoryOf(nodes[0], nodes[0].members.names(), "short")
	net.isolate(nodes[2].Cluster, plain(nodes), true)
	nodes[0].Accept(t.Context(), repository, "at-gw1")
	net.isolate(nodes[2].Cluster, plain(nodes), false)
	poll(t, "all agree", func() bool { return agree(nodes, repository) })
	poll(t, "nothing differs", func() bool {
		return nodes[0].metric(t, "fairlead_cluster_divergence", "", "")+nodes[2].metric(t,
			"fairlead_cluster_divergence", "", "") == 0
	})
}

func TestOneDirectionLost(t *testing.T) {
	t.Parallel()
	net, nodes := three(t)
	net.sever(nodes[0].Cluster, nodes[1].Cluster, true)
	repository := repositoryOf(nodes[1], nodes[0].members.names(), "oneway")
	nodes[1].Accept(t.Context(), repository, "at-gw2") // told to all, but nothing that the first says gets there
	net.sever(nodes[1].Cluster, nodes[0].Cluster, true)
	other := repositoryOf(nodes[1], nodes[0].members.names(), "twoway")
	nodes[2].Accept(t.Context(), other, "at-gw3")
	for repository, want := range map[string]string{repository: "at-gw2", other: "at-gw3"} {
		if owner, arbitrated := nodes[0].Accept(t.Context(), repository, "at-gw1"); owner != want || !arbitrated {
			t.Errorf("%s, arbitrated %v: the third was not asked to ask", owner, arbitrated)
		}
	}
	poll(t, "all agree, by way of the third", func() bool { return agree(nodes, repository) })
	if len(nodes[0].Members()) != 3 {
		t.Error("a member was lost that a third one could reach")
	}
}

func TestKilledArbiter(t *testing.T) {
	t.Parallel()
	net, nodes := three(t)
	members := nodes[0].members.names()
	net.isolate(nodes[2].Cluster, plain(nodes), true) // a killed process and a mute one are alike to the others
	repository := repositoryOf(nodes[2], members, "killed")
	var owners [2]string
	var race sync.WaitGroup
	for i := range owners { // nobody has noticed yet; the deputy decides for both
		race.Go(func() { owners[i], _ = nodes[i].Accept(t.Context(), repository, fmt.Sprintf("at-gw%d", i+1)) })
	}
	race.Wait()
	if owners[0] != owners[1] {
		t.Errorf("two owners: %v", owners)
	}
	unarbitrated := 0.
	for _, n := range nodes[:2] {
		unarbitrated += n.metric(t, "fairlead_cluster_grants_total", "how", howUnarbitrated)
	}
	if unarbitrated == 0 {
		t.Error("none unarbitrated")
	}
	poll(t, "it is given up", func() bool { return len(nodes[0].Members()) == 2 })
	attempt := 0
	poll(t, "a grant is arbitrated among the living", func() bool { // on a busy machine one answer may come late
		attempt++
		_, arbitrated := nodes[0].Accept(t.Context(), fmt.Sprintf("after-%d", attempt), "at-gw1")
		return arbitrated
	})
}

func TestClocksAnHourApart(t *testing.T) {
	t.Parallel()
	_, nodes := three(t, options{ahead: time.Hour}, options{}, options{ahead: -time.Hour})
	for i := range 30 {
		repository := fmt.Sprintf("app-%d", i)
		first, _ := nodes[i%3].Accept(t.Context(), repository, "first")
		poll(t, "all agree", func() bool { return agree(nodes, repository) })
		if second, _ := nodes[(i+1)%3].Accept(t.Context(), repository, "second"); first != "first" ||
			second != "first" {
			t.Errorf("%s: %s, then %s", repository, first, second)
		}
		nodes[(i+2)%3].Revoke(repository, "first")
		poll(t, "ended everywhere", func() bool {
			return nodes[0].Owner(repository)+nodes[1].Owner(repository)+nodes[2].Owner(repository) == ""
		})
		if third, _ := nodes[(i+1)%3].Accept(t.Context(), repository, "third"); third != "third" {
			t.Errorf("%s: %s, after the first owner was lost", repository, third)
		}
		poll(t, "all agree on the third", func() bool {
			return agree(nodes, repository) &&
				nodes[0].Owner(repository) == "third"
		})
	}
}

func TestAnInsaneClockPoisonsNothing(t *testing.T) {
	t.Parallel()
	_, nodes := three(t, options{}, options{}, options{ahead: 100 * 24 * time.Hour})
	nodes[2].Accept(t.Context(), repositoryOf(nodes[2], nodes[2].members.names(), "insane"), "at-gw3")
	poll(t, "its grant was refused", func() bool {
		return nodes[0].metric(t, "fairlead_cluster_dropped_total", "reason", droppedClock) > 0
	})
	repository := repositoryOf(nodes[0], nodes[0].members.names(), "sane")
	nodes[0].Accept(t.Context(), repository, "at-gw1")
	poll(t, "the sane ones agree", func() bool { return agree(nodes[:2], repository) })
	if at := nodes[0].Leases()[0].Stamp.WallMS; at > time.Now().Add(time.Hour).UnixMilli() {
		t.Error("its time was taken over")
	}
	divergence := func(n *node) float64 { return n.metric(t, "fairlead_cluster_divergence", "", "") }
	poll(t, "the refused grant is a bucket that differs", func() bool {
		return divergence(nodes[0]) > 0 &&
			divergence(nodes[2]) > 0
	})
	nodes[2].stop()
	poll(t, "who has left differs from nobody", func() bool { return divergence(nodes[0])+divergence(nodes[1]) == 0 })
}

func TestARestartedMemberLearnsAll(t *testing.T) {
	t.Parallel()
	net, nodes := three(t)
	for i := range 300 {
		nodes[0].Accept(t.Context(), fmt.Sprintf("app-%d", i), "at-gw1")
	}
	nodes[1].SetReports(map[string]Report{"westus": {Upstream: true}})
	nodes[2].stop()
	again := start(t, net, "gw3", options{peers: []string{nodes[0].Address()}})
	<-again.Tried()
	if got := len(again.Leases()); got != 300 || again.Held() != 300 || len(again.FleetView()) != 1 {
		t.Errorf("%d leases, reports %v", got, again.FleetView())
	}
	if g, ok := again.Lease("app-7"); !ok || g.Stamp.Member != Arbiter("app-7", []string{"gw1", "gw2", "gw3"}) &&
		!g.Alone {
		t.Errorf("granted by %+v", g)
	}
	nodes[2] = again
	together(t, nodes...)
}

func key(t *testing.T) []byte {
	t.Helper()
	k := make([]byte, 32)
	if _, err := rand.Read(k); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAWrongKeyChangesNothing(t *testing.T) {
	t.Parallel()
	right := options{keys: [][]byte{key(t)}}
	net, nodes := three(t, right, right, right)
	nodes[0].Accept(t.Context(), "app", "at-gw1")
	stranger := start(t, net, "gw4", options{keys: [][]byte{key(t)}, peers: []string{nodes[0].Address(),
		nodes[1].Address()}})
	stranger.Accept(t.Context(), "app", "at-gw4")
	if _, err := stranger.list().Join([]string{nodes[0].Address()}); err == nil {
		t.Error("joined without the key")
	}
	if len(nodes[0].Members()) != 3 || len(stranger.Members()) != 1 || nodes[0].Owner("app") != "at-gw1" {
		t.Error("a stranger changed something")
	}
}

func TestKeysAreChangedWithoutAnOutage(t *testing.T) {
	t.Parallel()
	old, fresh := key(t), key(t)
	with := options{keys: [][]byte{old}}
	_, nodes := three(t, with, with, with)
	for step, keys := range [][][]byte{{old, fresh}, {fresh, old}, {fresh}} {
		for i, n := range nodes {
			if err := n.SetKeys(keys); err != nil {
				t.Fatal(err)
			}
			repository := fmt.Sprintf("app-%d-%d", step, i)
			nodes[step].Accept(t.Context(), repository, "at-gw1")
			poll(t, "all know", func() bool { return agree(nodes, repository) })
		}
	}
	for _, n := range nodes {
		if got := n.keyring.GetKeys(); len(got) != 1 || !reflect.DeepEqual(got[0], fresh) || len(n.Members()) != 3 {
			t.Errorf("%d keys, %d members", len(got), len(n.Members()))
		}
	}
	if nodes[0].SetKeys(nil) == nil || nodes[0].SetKeys([][]byte{{1}}) == nil {
		t.Error("bad keys were taken")
	}
}

func TestSetKeysKeepsTheOrder(t *testing.T) {
	k := func(b byte) []byte { return append(make([]byte, 15), b) }
	ring, err := memberlist.NewKeyring([][]byte{k(1), k(2), k(3)}, k(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][][]byte{{k(1), k(3)}, {k(4), k(3)}, {k(3), k(4), k(5)}, {k(6)}} {
		if err := setKeys(ring, want); err != nil {
			t.Fatal(err)
		}
		if got := ring.GetKeys(); len(got) != len(want) || !reflect.DeepEqual(got[0], want[0]) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestReportsReachAll(t *testing.T) {
	t.Parallel()
	net, nodes := three(t)
	for i, n := range nodes {
		n.SetReports(map[string]Report{"westus": {Upstream: i != 0, Fronts: map[string]bool{"203.0.113.1": true}},
			"eastus": {Upstream: true}})
	}
	all := func() bool {
		for _, n := range nodes {
			reports := n.FleetView()
			if len(reports) != 3 || reports["gw1"]["westus"].Upstream || !reports["gw2"]["westus"].Upstream ||
				!reports["gw3"]["westus"].Fronts["203.0.113.1"] {
				return false
			}
		}
		return true
	}
	poll(t, "all have all reports", all)
	net.isolate(nodes[2].Cluster, plain(nodes), true)
	nodes[0].SetReports(map[string]Report{"westus": {Upstream: true}})
	net.isolate(nodes[2].Cluster, plain(nodes), false)
	poll(t, "a lost one is sent again", func() bool { return nodes[2].FleetView()["gw1"]["westus"].Upstream })
	large := map[string]Report{}
	for i := range maxReplicas {
		large[fmt.Sprintf("replica-%d", i)] = Report{Upstream: true}
	}
	nodes[1].SetReports(large)
	poll(t, "a large one arrives", func() bool { return len(nodes[0].FleetView()["gw2"]) == maxReplicas })
	nodes[1].stop()
	poll(t, "who has left has no report", func() bool { return len(nodes[0].FleetView()) == 2 })
	if got := len(nodes[0].reports.all()); got != 2 {
		t.Errorf("%d reports kept", got)
	}
}

func TestAlone(t *testing.T) {
	n := start(t, &cable{}, "gw1", options{peers: []string{"127.0.0.1:1"}})
	if owner, arbitrated := n.Accept(t.Context(), "app", "here"); owner != "here" || !arbitrated {
		t.Errorf("%s %v", owner, arbitrated)
	}
	if got := n.Leases(); len(got) != 1 || got[0].Stamp.Member != "gw1" || n.Owner("app") != "here" ||
		len(n.Members()) != 1 {
		t.Errorf("leases %v", got)
	}
	n.Keep("app", "other")
	n.Keep("nobody's", "here")
	if n.Owner("nobody's") != "" {
		t.Error("granted by keeping it")
	}
	n.Revoke("app", "other")
	if n.Owner("app") != "here" {
		t.Error("ended by another owner's name")
	}
	n.Revoke("app", "here")
	if n.Owner("app") != "" {
		t.Error("not ended")
	}
	n.stop()
	if owner, _ := n.Accept(t.Context(), "after", "here"); owner != "here" {
		t.Error("nothing works after Run")
	}
}

func TestQuestionsAreSharedAndBounded(t *testing.T) {
	net, nodes := three(t)
	repository := repositoryOf(nodes[1], nodes[0].members.names(), "many")
	net.sever(nodes[0].Cluster, nodes[1].Cluster, true)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { nodes[0].Accept(t.Context(), repository, fmt.Sprintf("r%d", i)) })
	}
	wg.Wait()
	if got := nodes[0].metric(t, "fairlead_cluster_grants_total", "how", howArbitrated); got != 1 {
		t.Errorf("%v questions for one repository", got)
	}
	for i := range maxQuestions {
		nodes[0].questions.open(fmt.Sprint(i))
	}
	if _, _, ok := nodes[0].questions.open("one more"); ok {
		t.Error("no bound")
	}
	for i := range maxQuestions {
		q, _, _ := nodes[0].questions.open(fmt.Sprint(i))
		nodes[0].questions.done(q)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if owner, arbitrated := nodes[0].Accept(ctx, repository+"x", "mine"); owner == "" || arbitrated && owner != "mine" {
		t.Errorf("%s %v", owner, arbitrated)
	}
}

func TestReplaysAndStrangersChangeNothing(t *testing.T) {
	t.Parallel()
	_, nodes := three(t)
	c := nodes[0].Cluster
	from := nodes[1].message(typeGrants)
	from.Grants = []wireGrant{{Repository: "app", Owner: "evil", Wall: 1, Member: "gw2"}}
	newer := nodes[1].message("news")
	newer.Up += 10 * maxLate.Milliseconds()
	c.receive(newer.encode())
	other := from
	other.From = "gw9"
	past := newer
	past.Grants, past.Type, past.Boot = from.Grants, typeGrants, "0123"
	self := from
	self.From, self.Boot = c.cfg.Name, c.boot
	for _, m := range []message{from, other, past, self} {
		c.receive(m.encode())
	}
	c.receive([]byte("garbage"))
	if got := c.Owner("app"); got != "" {
		t.Errorf("owner %s", got)
	}
	for reason, want := range map[string]float64{droppedStale: 1, droppedStranger: 3, droppedGarbage: 1} {
		if got := nodes[0].metric(t, "fairlead_cluster_dropped_total", "reason", reason); got < want {
			t.Errorf("%s: %v, want %v", reason, got, want)
		}
	}
}

// A later version adds fields and types: what is known of its messages counts.
func TestAnotherVersionTakesPart(t *testing.T) {
	t.Parallel()
	_, nodes := three(t)
	m := nodes[1].message(typeGrants)
	m.V = 2
	m.Grants = []wireGrant{{Repository: "app", Owner: "there", Wall: time.Now().UnixMilli(), Member: "gw2"}}
	var later map[string]any
	if err := json.Unmarshal(m.encode(), &later); err != nil {
		t.Fatal(err)
	}
	later["new"] = []int{1}
	nodes[0].receive(marshal(later))
	later["type"] = "newer"
	nodes[0].receive(marshal(later))
	if nodes[0].Owner("app") != "there" {
		t.Error("not understood")
	}
	if nodes[0].metric(t, "fairlead_cluster_messages_total", "type", "unknown") != 1 {
		t.Error("not counted")
	}
}

func TestTenThousandLeases(t *testing.T) {
	if testing.Short() {
		t.Skip("LONG: left to make check")
	}
	_, nodes := three(t)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const many = 10_000
	begin := time.Now()
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := w; i < many; i += 3 {
				nodes[w].Accept(t.Context(), fmt.Sprintf("team-%d/some-service-%d", i%100, i), "westeurope")
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	poll(t, "all know all", func() bool {
		return len(nodes[0].Leases()) == many && len(nodes[1].Leases()) == many && len(nodes[2].Leases()) == many
	})
	bytes := nodes[0].metric(t, "fairlead_cluster_message_bytes_total", "direction", "out")
	state := len(nodes[0].state().encode())
	t.Logf("10,000 leases in %v; a member: %.1f MB of heap, %.1f MB sent (%.0f bytes a lease); its state: %.2f MB; unarbitrated %v",
		took.Round(time.Millisecond), float64(heap()-before)/3e6, bytes/1e6, bytes/many, float64(state)/1e6,
		nodes[0].metric(t, "fairlead_cluster_grants_total", "how", howUnarbitrated))
	if state > maxState {
		t.Error("the state is too large")
	}
}
