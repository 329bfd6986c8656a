package cluster

import (
	"io"
	"log"
	"time"

	"github.com/hashicorp/memberlist"
)

const streamTimeout = 10 * time.Second

// tuned is memberlist's WAN profile, made quicker: there are a few gateways and not thousands of nodes, so that a
// packet more each second costs nothing, and every second in which a dead arbiter still counts as alive costs each
// new push 0.7 s.
func tuned(logs io.Writer) *memberlist.Config {
	c := memberlist.DefaultWANConfig()
	c.Label = "fairlead"                      // other programs on memberlist's usual port are told apart
	c.ProbeInterval = time.Second             // 5 s
	c.ProbeTimeout = 500 * time.Millisecond   // 3 s; the longest round trip between regions is some 350 ms
	c.SuspicionMult = 4                       // 6: dead 4 s after the first silence, time for three more probes
	c.SuspicionMaxTimeoutMult = 2             // 6: from four members on it is 8 s unless others confirm
	c.AwarenessMaxMultiplier = 2              // 8: a member cut off must notice soon, too
	c.GossipInterval = 200 * time.Millisecond // 500 ms: who comes back is told to all in a second
	c.GossipToTheDeadTime = 30 * time.Second  // 60 s: then it is forgotten, and believed at once when it is back
	c.TCPTimeout = streamTimeout              // 30 s, for the exchange of a complete state; dialling has its own bound
	c.DeadNodeReclaimTime = time.Second       // never: a container comes back with its name and another address
	c.HandoffQueueDepth = 4096                // 1024: announcements come in bursts
	c.EnableCompression = false               // it takes more time than all else that a grant needs
	c.Logger = log.New(logs, "", 0)
	return c
}
