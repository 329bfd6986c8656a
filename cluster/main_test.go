package cluster

import (
	"testing"

	"go.uber.org/goleak"
)

// No goroutine may outlive its cluster, memberlist's neither. A probe that is waiting for its answer cannot be called
// off: it ends within a probe interval. A connection that a peer opened ends when that peer closes it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).handleConn"),
	)
}
