package cluster

import (
	"fmt"
	"testing"
)

// When a spread is over, everybody knows: nobody has to be waited for after that.
func TestSpreadTellsAll(t *testing.T) {
	_, nodes := three(t)
	for i := range 50 {
		n := nodes[i%3]
		repository := fmt.Sprintf("team/app-%d", i)
		n.Accept(t.Context(), repository, "at-"+n.cfg.Name)
		n.Spread(t.Context(), repository)
		if !agree(nodes, repository) {
			t.Fatalf("%s: not all know it", repository)
		}
	}
	before := nodes[0].metric(t, "fairlead_cluster_messages_total", "type", typeSpread)
	nodes[0].Spread(t.Context(), "team/app-0")
	nodes[0].Spread(t.Context(), "nobody's")
	if after := nodes[0].metric(t, "fairlead_cluster_messages_total", "type", typeSpread); after != before || before == 0 {
		t.Errorf("%v messages, then %v", before, after)
	}
}

// Who has gone without our knowing it keeps nobody for long, and the others hear of it all the same.
func TestSpreadIsBounded(t *testing.T) {
	net, nodes := three(t)
	net.isolate(nodes[2].Cluster, plain(nodes), true)
	repository := repositoryOf(nodes[0], nodes[0].members.names(), "cut")
	nodes[0].Accept(t.Context(), repository, "west")
	nodes[0].Spread(t.Context(), repository)
	if !agree(nodes[:2], repository) {
		t.Error("who can be reached has not heard of it")
	}
	net.isolate(nodes[2].Cluster, plain(nodes), false)
	poll(t, "all know it", func() bool { return agree(nodes, repository) })
}
