package cluster

import (
	"context"
	"time"
)

// The steps of a question. The first is nearly always the only one.
const (
	askResend  = 200 * time.Millisecond  // a packet may be lost, or only our own way to the arbiter be cut
	askDeputy  = 700 * time.Millisecond  // by way of others it takes two round trips, of 250 ms between far regions
	askTimeout = 1100 * time.Millisecond // in all: time for the deputy, too
)

// maxRelays bounds the members that ask the arbiter on our behalf.
const maxRelays = 3

// Accept tells that replica accepted a write of the repository, and returns the replica that owns it from then on:
// replica itself unless a lease holds. arbitrated is false where the owner is the word of a member that got no answer
// from the arbiter, or where ctx ended first. A known lease is prolonged and costs nothing; else the arbiter is asked,
// which takes a round trip and never more than 1.1 s.
func (c *Cluster) Accept(ctx context.Context, repository, replica string) (owner string, arbitrated bool) {
	if !validRepository(repository) || !validName(replica) {
		return replica, false // nothing that others would take
	}
	g, known, prolonged := c.table.keep(repository, c.now())
	if prolonged {
		c.announce(g)
	}
	if known {
		c.metrics.grants.WithLabelValues(howKnown).Inc()
		return g.Owner, !g.Alone
	}
	if c.Arbiter(repository) == c.cfg.Name {
		owner, arbitrated = c.grant(repository, replica, howArbiter, c.now())
	} else {
		owner, arbitrated = c.ask(ctx, repository, replica)
	}
	c.spread(repository) // in good time before a manifest waits for it
	return owner, arbitrated
}

// grant decides here, and tells all.
func (c *Cluster) grant(repository, replica, how string, asked time.Time) (string, bool) {
	g, fresh := c.table.grant(repository, replica, how == howUnarbitrated, c.now())
	if fresh {
		c.announce(g)
	} else if how == howUnarbitrated {
		how = howArbitrated // its answer came at last, or by another way
	}
	c.metrics.grants.WithLabelValues(how).Inc()
	c.metrics.seconds.Observe(c.now().Sub(asked).Seconds())
	return g.Owner, !g.Alone
}

// ask waits for the one question about the repository that is under way.
func (c *Cluster) ask(ctx context.Context, repository, replica string) (string, bool) {
	q, first, ok := c.questions.open(repository)
	if !ok {
		return c.grant(repository, replica, howUnarbitrated, c.now())
	}
	if first {
		go func() {
			defer c.questions.done(q)
			q.owner, q.arbitrated = c.question(q, replica)
		}()
	}
	select {
	case <-q.over:
		return q.owner, q.arbitrated
	case <-ctx.Done():
		return replica, false
	}
}

// question asks the arbiter; then it again, also by way of others; then the deputy, whom all others ask then, too, so
// that they agree while nobody knows yet that the arbiter is gone. What nobody answers is decided here.
func (c *Cluster) question(q *question, replica string) (string, bool) {
	asked := c.now()
	for _, step := range []struct {
		ask  func(q *question, replica string, ranked []string) (decided bool)
		wait time.Duration
	}{
		{c.askArbiter, askResend},
		{c.askAround, askDeputy - askResend},
		{c.askDeputy, askTimeout - askDeputy},
	} {
		if g, known := c.table.owner(q.repository, c.now()); known { // announced since
			return g.Owner, !g.Alone
		}
		ranked := Ranked(q.repository, c.members.names())
		if ranked[0] == c.cfg.Name { // by now
			return c.grant(q.repository, replica, howArbiter, asked)
		}
		if step.ask(q, replica, ranked) {
			break
		}
		if c.questions.wait(q, step.wait) {
			return c.answerOf(q.repository, replica, asked)
		}
	}
	return c.grant(q.repository, replica, howUnarbitrated, asked)
}

func (c *Cluster) askArbiter(q *question, replica string, ranked []string) (decided bool) {
	c.askMember(ranked[0], typeAsk, q, replica)
	return false
}

func (c *Cluster) askAround(q *question, replica string, ranked []string) (decided bool) {
	c.askMember(ranked[0], typeAsk, q, replica)
	for _, name := range ranked[1:min(len(ranked), 1+maxRelays)] {
		if name != c.cfg.Name {
			c.askMember(name, typeRelay, q, replica)
		}
	}
	return false
}

// askDeputy: if that is us, we decide, and whoever asks us then hears what.
func (c *Cluster) askDeputy(q *question, replica string, ranked []string) (decided bool) {
	c.askMember(ranked[1], typeAsk, q, replica)
	return ranked[1] == c.cfg.Name
}

func (c *Cluster) askMember(name, kind string, q *question, replica string) {
	to, ok := c.members.get(name)
	if !ok || name == c.cfg.Name {
		return
	}
	m := c.message(kind)
	m.ID, m.Repository, m.Replica = q.id, q.repository, replica
	c.send(to, kind, m.encode())
}

// answerOf is what the arbiter's answer made of our table: an earlier grant that it has not heard of beats it.
func (c *Cluster) answerOf(repository, replica string, asked time.Time) (string, bool) {
	g, ok := c.table.owner(repository, c.now())
	if !ok { // its stamp was refused, or the grant has ended since
		return c.grant(repository, replica, howUnarbitrated, asked)
	}
	how := howArbitrated
	if g.Alone {
		how = howUnarbitrated // the deputy's
	}
	c.metrics.grants.WithLabelValues(how).Inc()
	c.metrics.seconds.Observe(c.now().Sub(asked).Seconds())
	return g.Owner, !g.Alone
}

// Owner is the replica that holds the repository's lease, "" if none does. It asks nobody.
func (c *Cluster) Owner(repository string) string {
	g, _ := c.Lease(repository)
	return g.Owner
}

// Lease is the grant that holds, if one does. Its stamp's member is who granted it.
func (c *Cluster) Lease(repository string) (Grant, bool) { return c.table.owner(repository, c.now()) }

// Arbiter is the member that is asked about a repository which nobody holds.
func (c *Cluster) Arbiter(repository string) string { return Arbiter(repository, c.members.names()) }

// Keep prolongs the lease that owner holds, if it does, without a write.
func (c *Cluster) Keep(repository, owner string) {
	now := c.now()
	if g, known := c.table.owner(repository, now); !known || g.Owner != owner {
		return
	}
	if g, _, prolonged := c.table.keep(repository, now); prolonged {
		c.announce(g)
	}
}

// Revoke ends a repository's lease before its time: its owner is lost, or takes no writes.
func (c *Cluster) Revoke(repository, owner string) {
	if revoked := c.table.revoke(repository, owner, c.now()); len(revoked) > 0 {
		c.announce(revoked...)
	}
}

// Leases lists the leases that hold, for people; the least recently used come first.
func (c *Cluster) Leases() []Grant {
	now := c.now()
	var out []Grant
	for _, set := range c.table.snapshot() {
		if g, ok := set.Owner(now, c.table.life()); ok {
			out = append(out, g)
		}
	}
	return out
}

// Held counts the leases that hold.
func (c *Cluster) Held() int { return len(c.Leases()) }
