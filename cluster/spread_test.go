package cluster

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// When a spread is over, everybody knows: nobody has to be waited for after that.
func TestSpreadTellsAll(t *testing.T) {
	t.Parallel()
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
	told := func() float64 {
		return testutil.ToFloat64(nodes[0].metrics.messages.WithLabelValues(typeSpread, "out"))
	}
	before := told()
	if mute := float64(17 * 2 * 2); before >= mute { // 17 grants to two members, each told twice
		t.Errorf("%v messages: nobody confirms", before)
	}
	nodes[0].Spread(t.Context(), "team/app-0")
	nodes[0].Spread(t.Context(), "nobody's")
	if after := told(); after != before || before == 0 {
		t.Errorf("%v messages, then %v", before, after)
	}
}

// Who has gone without our knowing it keeps nobody for long, and the others hear of it all the same.
func TestSpreadIsBounded(t *testing.T) {
	t.Parallel()
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
