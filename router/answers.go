package router

import "cmp"

// Heard is what one replica answered, as far as it matters for which answer the client gets.
type Heard struct {
	Replica *Replica
	Try     int  // its place among the decision's tries
	Status  int  // 0: there is no answer, or one that does not count
	Unasked bool // no answer: it is down
	Refused bool // no answer: this gateway refuses the request, and would at any replica
	Older   bool // no answer: it gives the tag an older digest than it has
	Right   bool // about the tag, or as the owner of the repository, whatever others say
	Lesser  bool // a success, but another replica may have more to say
	Denied  bool // a 401 or 403 that may mean absence
	Holds   bool // it is known to have what is asked for
	Early   bool // a replica that was asked before it has yet to answer
}

// Of the statuses of RFC 9110, 15, those that matter here: net/http is no part of a decision.
const (
	firstRefusal = 400
	notFound     = 404
	throttled    = 429
	firstFailure = 500
)

// Absent reports whether the replica says that it does not have what is asked for.
func (h Heard) Absent() bool { return h.Status == notFound }

// Throttled reports whether the replica wants to be asked less, and says nothing of what is asked for.
func (h Heard) Throttled() bool { return h.Status == throttled }

// Accepted reports whether the replica did what was asked.
func (h Heard) Accepted() bool { return Accepted(h.Status) }

// Choice is which of the answers heard is the client's, for now.
type Choice struct {
	Index  int // -1: nothing was heard
	Reason Reason
	Final  bool // nothing better is to be had: nobody else is asked, or waited for
	// Enough: nobody else is asked, but those that were asked before are waited for.
	Enough bool
	// Candidates are the places of those that may yet become the client's. All others can be dropped.
	Candidates []int
}

// Choose is the choice among what was heard until now, in the order in which it came. A success is the answer; else
// a 429; else what a replica said that is not a 404, because it may be the one that has it; a 404 only if every replica
// asked has said so. Of these the one that counts is that of the lease's owner: others may never have heard of the
// repository. A denial may mean that the repository is not there, or that the client may not have it: the latter if it
// comes from one that has it, or if no replica let the client look.
func (d Decision) Choose(heard []Heard) Choice {
	best, absent, spilled, denials, reasons := -1, false, false, []int(nil), make([]Reason, len(heard))
	for i, h := range heard {
		lesser := best >= 0 && heard[best].Lesser
		reasons[i] = d.reasonOf(h, absent || lesser || len(denials) > 0, spilled)
		switch {
		case d.ends(h, lesser) && !d.suffices(h):
			return Choice{Index: i, Reason: reasons[i], Final: true, Candidates: []int{i}}
		case h.Denied:
			denials = append(denials, i)
		case best < 0 || d.betters(h, heard[best]):
			best = i
		}
		absent, spilled = absent || h.Absent(), spilled || h.Throttled()
	}
	c := Choice{Index: best, Candidates: denials}
	if best >= 0 {
		c.Enough, c.Candidates = d.suffices(heard[best]), append([]int{best}, denials...)
	}
	if i := denialOf(heard, denials, absent); i >= 0 && (best < 0 || !heard[best].succeeds()) {
		c.Index = i
	}
	if c.Index >= 0 {
		c.Reason = reasons[c.Index]
	}
	return c
}

// reasonOf is why a replica was asked: another said before that it does not have it, or may not, or that it wants to
// be asked less.
func (d Decision) reasonOf(h Heard, absent, spilled bool) Reason {
	switch {
	case h.Try == 0 || d.Reason == LastResort:
		return d.Reason
	case absent:
		return Fallthrough
	case spilled:
		return Throttled
	}
	return Failover
}

// ends reports whether nothing better is to be had by asking on, where a lesser success was heard before or not.
func (d Decision) ends(h Heard, lesser bool) bool {
	switch {
	case h.Status == 0:
		return h.Refused
	case lesser: // no refusal is better than that
		return h.succeeds() && !h.Lesser
	case h.Absent(), h.Denied:
		return !d.OnAbsent
	case h.Throttled():
		return !d.OnThrottled || h.Right && d.OwnerKnows
	}
	return h.Status < firstFailure && !h.Lesser
}

// suffices reports whether it is an absence that is the answer, unless one that was asked before has another.
func (d Decision) suffices(h Heard) bool { return h.Absent() && h.Early && !d.OnAbsent }

// betters reports whether an answer is better than the best until now: among equals that of the replica that was asked
// earlier is.
func (d Decision) betters(h, best Heard) bool {
	return cmp.Or(cmp.Compare(d.rank(h), d.rank(best)), cmp.Compare(best.Try, h.Try)) > 0
}

// rank is higher for what the client should rather hear of. Trouble outranks a 404: what could not be asked
// may have it. So may who is throttled, and it says when to come again. Who is right about a tag knows that it is gone,
// whatever older ones there are.
func (d Decision) rank(h Heard) int {
	switch {
	case d.suffices(h):
		return 4
	case h.Absent() && !h.Right:
		return 0
	case h.Older:
		return 1
	case h.Absent():
		return 2
	case h.Status == 0:
		return 3
	case h.succeeds():
		return 6
	case h.Throttled():
		return 5
	}
	return 4
}

func (h Heard) succeeds() bool { return h.Status != 0 && h.Status < firstRefusal }

// denialOf is the place of the denial that counts; -1 if none does.
func denialOf(heard []Heard, denials []int, absent bool) int {
	for _, i := range denials {
		if heard[i].Holds {
			return i
		}
	}
	if len(denials) == 0 || absent {
		return -1
	}
	return denials[0]
}

// ChooseDeletion is the place of the answer that the client of a deletion gets, which went to all: that it was deleted,
// by whomever; else what was said of it; else that nobody has it. The first was asked first.
func ChooseDeletion(heard []Heard) (index int) {
	for i, h := range heard {
		if !h.Unasked && (Decision{OnAbsent: true}).betters(h, heard[index]) {
			index = i
		}
	}
	return index
}

// TagAnswer is what a replica says about a tag, beside what is known of it.
type TagAnswer struct {
	Digest        string // that it gives the tag; "" if it says none
	Known         string // that the tag is known to have; "" if it is not known to be anywhere
	Deleted       bool   // the tag is known to be deleted
	DigestDeleted bool   // what it gives was deleted, and is not known to be gone there
	Right         bool   // the replica is known to be up to date about the tag, or owns the repository
}

// TagWord is what such an answer is worth.
type TagWord int

const (
	TagCounts TagWord = iota
	TagAbsent         // it counts as a 404
	TagOlder          // it does not count, and who is right cannot be asked
)

// Word is what the answer is worth: a tag never goes back to an older digest, nor to one that was deleted. Whose word
// counts is right about it, since somebody may push to him without us.
func (t TagAnswer) Word() TagWord {
	switch {
	case t.Digest == "":
	case t.Deleted && !t.Right, t.DigestDeleted:
		return TagAbsent
	case t.Known != "" && !t.Right && t.Known != t.Digest:
		return TagOlder
	}
	return TagCounts
}
