package cluster

import (
	"time"

	"github.com/hashicorp/memberlist"
)

// events and delegate are called by memberlist, partly under its lock: nothing here waits, or asks memberlist back.
type events struct{ c *Cluster }

func (e events) NotifyJoin(n *memberlist.Node) {
	e.c.members.joined(n, e.c.now())
	if n.Name != e.c.cfg.Name {
		e.c.log.Info("cluster member joined", "member", n.Name, "address", n.Address())
	}
}

func (e events) NotifyLeave(n *memberlist.Node) {
	e.c.members.left(n, e.c.now())
	if n.Name != e.c.cfg.Name {
		e.c.reports.forget(n.Name)
		e.c.guard.forget(n.Name)
		e.c.repairs.forget(n.Name)
		e.c.files.forget(n.Name)
		e.c.log.Info("cluster member lost", "member", n.Name, "address", n.Address())
	}
}

func (e events) NotifyUpdate(n *memberlist.Node) { e.c.members.joined(n, e.c.now()) }

// conflicts says, once a minute, that two members have one name.
type conflicts struct {
	c    *Cluster
	last time.Time // guarded by memberlist's lock
}

func (x *conflicts) NotifyConflict(existing, other *memberlist.Node) {
	if now := x.c.now(); now.Sub(x.last) > time.Minute {
		x.last = now
		x.c.log.Error("two cluster members have one name: the second is not taken in",
			"name", existing.Name, "address", existing.Address(), "second", other.Address())
	}
}

type delegate struct{ c *Cluster }

func (d delegate) NodeMeta(limit int) []byte {
	return meta{d.c.cfg.Here, d.c.cfg.Version, d.c.boot, d.c.cfg.Hostname}.encode(limit)
}

func (d delegate) NotifyMsg(data []byte) { d.c.receive(data) }

// GetBroadcasts has none: what we tell goes to all at once, and what is lost comparing digests finds.
func (d delegate) GetBroadcasts(int, int) [][]byte { return nil }

func (d delegate) LocalState(bool) []byte {
	data := d.c.state().encode()
	d.c.metrics.out(typeState, len(data))
	return data
}

func (d delegate) MergeRemoteState(data []byte, _ bool) { d.c.receive(data) }
