package cluster

import (
	"context"
	"time"
)

// maxLarge bounds what waits to be sent over a connection of its own.
const maxLarge = 64

// largeMessage is a message too large for a packet.
type largeMessage struct {
	to   member
	data []byte
	kind string
}

func (c *Cluster) message(kind string) message {
	return message{V: wireVersion, Type: kind, From: c.cfg.Name, Boot: c.boot, Up: c.up()}
}

// up is by the monotonic clock: it never goes back while this process runs.
func (c *Cluster) up() int64 { return time.Since(c.started).Milliseconds() }

// send sends one message and does not wait. It may be lost.
func (c *Cluster) send(to member, kind string, data []byte) {
	if len(data) > maxPacket {
		select {
		case c.reliable <- largeMessage{to, data, kind}:
		default:
			c.metrics.drop(droppedFull)
		}
		return
	}
	node := c.list()
	if node == nil {
		return
	}
	if err := node.SendBestEffort(&to.node, data); err != nil {
		c.metrics.drop(droppedSend)
		return
	}
	c.metrics.out(kind, len(data))
}

// deliver sends what needs a connection, one at a time.
func (c *Cluster) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-c.reliable:
			if err := c.list().SendReliable(&p.to.node, p.data); err != nil {
				c.metrics.drop(droppedSend)
				continue
			}
			c.metrics.out(p.kind, len(p.data))
		}
	}
}

// announce tells all members about grants.
func (c *Cluster) announce(grants ...Grant) {
	for _, to := range c.members.others() {
		c.tell(to, requestID{}, grants...)
	}
}

// requestID is the number of the question that is answered, and who has it where that is not who is told. The zero one
// is no answer.
type requestID struct {
	id     uint64
	origin string
}

func (c *Cluster) tell(to member, of requestID, grants ...Grant) {
	m := c.message(typeGrants)
	m.ID, m.For = of.id, of.origin
	now := c.now()
	list := make([]wireGrant, len(grants))
	for i, g := range grants {
		list[i] = toWire(g, now)
	}
	for _, data := range packets(m, list) {
		c.send(to, typeGrants, data)
	}
}

// state is all we know.
func (c *Cluster) state() message {
	m := c.message(typeState)
	now := c.now()
	for _, g := range c.table.all(now) {
		m.Grants = append(m.Grants, toWire(g, now))
	}
	m.Reports = c.reports.all()
	return fit(m)
}
