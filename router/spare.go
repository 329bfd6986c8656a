package router

import (
	"cmp"
	"slices"
)

// sparing is the decision by kind. What would go elsewhere, if nobody were throttled, says so.
func (r Request) sparing() Decision {
	d := r.byKind()
	if len(r.Throttled) == 0 || len(d.Tries) == 0 {
		return d
	}
	r.Throttled = nil
	if d.Tries[0] != r.byKind().Tries[0] {
		d.Reason = Throttled
	}
	return d
}

// spare asks those that are throttled after all others that are up: rather than failing they are asked, too.
func (r Request) spare(d Decision) Decision {
	if len(r.Throttled) == 0 {
		return d
	}
	place := func(x *Replica) int {
		switch {
		case !x.Readable():
			return 2
		case r.throttles(x):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(d.Tries, func(a, b *Replica) int { return cmp.Compare(place(a), place(b)) })
	return d
}

func (r Request) throttles(x *Replica) bool { return x != nil && slices.Contains(r.Throttled, x.Name) }
