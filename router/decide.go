package router

import "slices"

// Decide is the table of docs/request-handling.md, row by row. Both orders name every replica of the
// fleet, so a replica that neither has does not exist.
func Decide(r Request) Decision {
	if named := r.Client.find(r.Named); r.Named != "" {
		if r.Adds && named != nil && named.Operator == Leaving {
			return Decision{Reason: NamedLeaving}
		}
		return only(Named, named)
	}
	return r.sparing().without(r.Barred)
}

func (r Request) byKind() Decision {
	switch r.Kind {
	case Upload:
		return r.upload()
	case Exists:
		d := r.writing()
		d.Elsewhere = r.elsewhere(d.Tries[0])
		return d
	case Write:
		// No URL that we hand out for these names a replica: one that does may not overrule the lease.
		return r.writing()
	case Pull:
		if r.Head && r.Bound != "" {
			// A pusher that asks for a manifest by digest skips pushing it when told it exists: only
			// the replica that the rest of the push goes to may say so.
			return r.writing()
		}
		return r.pull()
	}
	// The next page of a list goes on where the page before it came from.
	if page := r.Gateway.find(r.URLOwner); page.Readable() {
		return only(Owner, page)
	}
	if r.Kind == Fresh {
		return r.fresh()
	}
	d := r.spare(pull(r.Gateway))
	d.OnAbsent = false
	return d
}

// upload goes where the URL says, which beats the lease, since a session exists on one replica alone.
func (r Request) upload() Decision {
	if r.URLOwner == "" {
		return r.writing()
	}
	owner := r.Client.find(r.URLOwner)
	switch {
	case owner.Readable():
		return only(Owner, owner)
	case slices.Contains(r.Client.usable(), owner):
		return only(LastResort, owner)
	}
	for _, x := range r.Client {
		if x.Readable() && x.Shares(owner) {
			return only(Failover, x) // it can go on with the upload, if it is set up to
		}
	}
	return Decision{Reason: UploadLost}
}

// elsewhere are those that are up and have content of their own. What is damaged there cannot be copied.
func (r Request) elsewhere(asked *Replica) (others []*Replica) {
	for _, x := range r.Gateway.without(r.Damaged) {
		if x.Readable() && !x.Shares(asked) {
			others = append(others, x)
		}
	}
	return others
}

// writing goes to the lease's owner. A lease stays with it for as long as that can be asked, and moves as a whole when
// it cannot.
func (r Request) writing() Decision {
	owner := r.Client.find(r.Lease)
	if owner.Readable() && !owner.ReadOnly {
		return only(Leased, owner)
	}
	d := r.start()
	if i := slices.IndexFunc(d.Tries, owner.Shares); owner != nil && i > 0 && d.Tries[i] != owner {
		d.Tries = toFront(d.Tries, i) // all that the push has left with the owner is there
	}
	if slices.Contains(d.Tries, owner) {
		// Nothing that is up can take it: among those tried all the same it is the one with the push.
		return only(LastResort, owner)
	}
	d.LeaseEnds = r.Lease != ""
	if d.LeaseEnds && d.Reason != LastResort {
		d.Reason = Failover
	}
	return d
}

// start is where the writes of a repository without a lease go. A binding holds even when another
// replica has become nearer: what the client was told exists, exists there.
func (r Request) start() Decision {
	if bound := r.Client.find(r.Bound); bound.startable() {
		return r.bound(bound)
	}
	order, first := r.Client, Nearest
	if r.OwnerHome {
		home := slices.IndexFunc(order, func(x *Replica) bool { return x.Home })
		order, first = toFront(order, home), Home
	}
	// To ask a draining replica is better than one that is down, and that better than one that says no.
	tries := order.firstOf(
		(*Replica).startable,
		func(x *Replica) bool { return x.Readable() && x.takesWrites() },
		func(x *Replica) bool { return x.inService() && x.takesWrites() },
		(*Replica).inService)
	slices.SortStableFunc(tries, slowLast)
	switch {
	case !tries[0].startable():
		return Decision{Reason: LastResort, Tries: tries}
	case tries[0] == order[0]:
		return Decision{Reason: first, Tries: tries}
	}
	return Decision{Reason: Failover, Tries: tries}
}

// bound goes where the client is bound to. What only asks may be asked of the next when the bound replica does not
// answer, and binds the client anew; what writes may not leave it.
func (r Request) bound(to *Replica) Decision {
	d := only(Bound, to)
	if r.Head {
		others := r.Client.firstOf((*Replica).startable)
		d.Tries = toFront(others, slices.Index(others, to))
	}
	return d
}

// fresh asks the lease's owner first: while it holds, that knows the tags, for everyone. What it has never heard of may
// have been pushed elsewhere before the lease, so its 404 falls through. One that is throttled is asked first all the
// same where nobody else is known to be up to date.
func (r Request) fresh() Decision {
	d := r.spare(r.follow(pull(r.Gateway)))
	owner := r.Gateway.find(r.Lease)
	d.OwnerKnows = owner.Readable() && len(r.Holders) == 0
	if owner.Readable() && (d.OwnerKnows || !r.throttles(owner)) {
		d.Reason, d.Tries = Leased, toFront(d.Tries, slices.Index(d.Tries, owner))
	}
	return d
}

// pull asks nobody who has the blob damaged: its client compares the digest, and can do nothing with the bytes. A
// replica that is down may have it whole.
func (r Request) pull() Decision {
	nearest := r.Gateway[0]
	r.Gateway = r.Gateway.without(r.Damaged)
	if len(r.Gateway) == 0 {
		return Decision{Reason: Damaged}
	}
	d := r.spare(r.follow(pull(r.Gateway)))
	if d.Reason == Nearest && d.Tries[0] != nearest {
		d.Reason = Failover
	}
	return d
}

// without is what is left to ask when the word of some does not count.
func (d Decision) without(barred []string) Decision {
	if len(barred) == 0 || len(d.Tries) == 0 {
		return d
	}
	first := d.Tries[0]
	out := func(x *Replica) bool { return slices.Contains(barred, x.Name) }
	d.Tries, d.Elsewhere = slices.DeleteFunc(slices.Clone(d.Tries), out),
		slices.DeleteFunc(slices.Clone(d.Elsewhere), out)
	switch {
	case len(d.Tries) == 0:
		return Decision{Reason: Deleted}
	case d.Tries[0] != first:
		d.Reason = Fallthrough
	}
	return d
}

// pull asks the nearest first and then all others that are up, the slow ones after those that are not, and the draining
// ones last: they start nothing, but may hold what nobody else has.
func pull(order Order) Decision {
	tries := order.usable()
	slices.SortStableFunc(tries, slowLast)
	slices.SortStableFunc(tries, drainingLast)
	reason := order.reasonFor(tries[0])
	if !tries[0].Readable() {
		reason = LastResort
	}
	return Decision{Reason: reason, Tries: tries, OnAbsent: true, OnThrottled: true}
}

// only is the decision for one replica and no other; for none, if x is nil.
func only(why Reason, x *Replica) Decision {
	if x == nil {
		return Decision{Reason: why}
	}
	return Decision{Reason: why, Tries: []*Replica{x}}
}
