package cluster

import "time"

// receive takes a message from memberlist: whoever sent it has the key.
func (c *Cluster) receive(data []byte) {
	m, err := decode(data)
	if err != nil {
		c.metrics.drop(droppedGarbage)
		return
	}
	from, ok := c.members.get(m.From)
	switch {
	case m.From == c.cfg.Name, !ok, from.meta.Boot != m.Boot:
		c.metrics.drop(droppedStranger)
		return
	case !c.guard.fresh(m.From, m.Boot, time.Duration(min(m.Up, maxUp))*time.Millisecond):
		c.metrics.drop(droppedStale)
		return
	}
	c.metrics.in(known(m.Type), len(data))
	c.handle(from, m)
}

// maxTold bounds the packets that one message can call forth. Comparing digests finds the rest.
const maxTold = 64

// maxUp is a process that has been running for a century: more would overflow.
const maxUp = 100 * 365 * 24 * 3600 * 1000

// known bounds the values of a label.
func known(kind string) string {
	switch kind {
	case typeAsk, typeRelay, typeGrants, typeSpread, typeHeard, typeDigest, typeReport, typeState, typeNote, typeFile:
		return kind
	}
	return "unknown"
}

func (c *Cluster) handle(from member, m message) {
	switch m.Type {
	case typeAsk:
		c.answer(from, m)
	case typeRelay:
		c.relay(from, m)
	case typeGrants:
		c.mergeGrants(from, m.Grants, true)
		if m.For == "" {
			c.questions.answered(m.ID)
		} else {
			c.passOn(m)
		}
	case typeSpread:
		c.confirm(from, m)
	case typeHeard:
		for _, w := range m.Grants {
			c.spreads.heard(w.grant(c.now()), m.From)
		}
	case typeNote:
		c.notes.handle(m.From, m.Note)
	case typeDigest:
		c.misfits.clock(m.From, m.Clock)
		c.misfits.fits(m.From, from.meta, c.cfg.Hostname)
		c.compareFiles(from, m)
		c.compareWith(from, m)
	case typeFile:
		c.files.learn(m.From, m.File, m.Shared)
	case typeReport:
		c.mergeReports(m.Reports)
	case typeState:
		c.mergeGrants(from, m.Grants, false)
		c.mergeReports(m.Reports)
	}
}

// answer grants what nobody holds to the replica that the asker proposes. Asked again, it says the same again. Where we
// are not the arbiter we are asked as its deputy.
func (c *Cluster) answer(from member, m message) {
	deputy := c.Arbiter(m.Repository) != c.cfg.Name
	g, fresh := c.table.grant(m.Repository, m.Replica, deputy, c.now())
	c.tell(from, requestID{m.ID, m.For}, g)
	if !fresh {
		return
	}
	for _, to := range c.members.others() {
		if to.node.Name != from.node.Name {
			c.tell(to, requestID{}, g)
		}
	}
}

// relay asks the arbiter on behalf of from, unless the answer is known here, or is ours to give.
func (c *Cluster) relay(from member, m message) {
	if g, known := c.table.owner(m.Repository, c.now()); known {
		c.tell(from, requestID{id: m.ID}, g)
		return
	}
	arbiter := c.Arbiter(m.Repository)
	if arbiter == c.cfg.Name {
		c.answer(from, m)
		return
	}
	if to, ok := c.members.get(arbiter); ok && arbiter != from.node.Name {
		ask := c.message(typeAsk)
		ask.ID, ask.For, ask.Repository, ask.Replica = m.ID, from.node.Name, m.Repository, m.Replica
		c.send(to, typeAsk, ask.encode())
	}
}

// passOn gives the arbiter's answer to whom it is for, who has a number for the question and we have none.
func (c *Cluster) passOn(m message) {
	to, ok := c.members.get(m.For)
	if !ok || len(m.Grants) != 1 {
		return
	}
	if g, known := c.table.owner(m.Grants[0].Repository, c.now()); known {
		c.tell(to, requestID{id: m.ID}, g)
	}
}

// mergeGrants takes note of grants. Whoever announces one that loses has not heard of the one it loses to, and is told.
func (c *Cluster) mergeGrants(from member, grants []wireGrant, tellBack bool) {
	now := c.now()
	var better []Grant
	for _, w := range grants {
		did := c.table.merge(w.grant(now), now)
		if did.refused {
			c.metrics.drop(droppedClock)
		}
		if did.conflict {
			c.metrics.conflicts.Inc()
			c.log.Info("two owners were granted; the earlier grant holds",
				"repository", w.Repository, "owner", did.winner.Owner)
		}
		if did.better {
			better = append(better, did.winner)
		}
	}
	if tellBack {
		c.tell(from, requestID{}, better[:min(len(better), maxTold)]...)
	}
}

func (c *Cluster) mergeReports(reports []memberReport) {
	for _, r := range reports {
		if from, ok := c.members.get(r.Member); ok && from.meta.Boot == r.Boot && r.Member != c.cfg.Name {
			c.reports.keepNewest(r)
		}
	}
}
