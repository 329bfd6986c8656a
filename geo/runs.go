package geo

import "math/bits"

// blockBits of a key choose the part of an index that it is in.
const blockBits = 16

// runs give each key, a number of some bits, a value: from each start to the next one's the same. Of a start only the
// bits behind its block's are stored, and where each block begins.
type runs[L uint16 | uint32] struct {
	// Static once all are appended. There is always a run that starts at 0.
	rest  uint     // bits of a key behind those of its block
	index []uint32 // by block: the first run that starts there or later
	low   []L
	value []uint16
	parts []uint32 // the index, or a finer one: see refine
	few   int      // no part that is not split has as many runs
}

func newRuns[L uint16 | uint32](bits uint) *runs[L] {
	return &runs[L]{rest: bits - blockBits, index: make([]uint32, 0, 1<<blockBits+1)}
}

// append begins a run behind all that were appended; the first one begins at 0.
func (r *runs[L]) append(key uint64, value uint16) {
	n := len(r.low)
	if n > 0 && r.value[n-1] == value {
		return
	}
	for uint64(len(r.index)) <= key>>r.rest {
		r.index = append(r.index, uint32(n))
	}
	r.low, r.value = appendInterruptibly(r.low, L(key&(1<<r.rest-1))), appendInterruptibly(r.value, value)
}

// end completes the index, and frees what was allocated beyond need.
func (r *runs[L]) end() *runs[L] {
	for len(r.index) <= 1<<blockBits {
		r.index = append(r.index, uint32(len(r.low)))
	}
	if cap(r.low) > len(r.low) {
		r.low, r.value = copyInterruptibly(r.low, len(r.low)), copyInterruptibly(r.value, len(r.value))
	}
	r.parts, r.few = r.index, len(r.low)+1
	return r
}

// find is the run that a key is in.
func (r *runs[L]) find(key uint64) int {
	block, low := key>>r.rest, L(key&(1<<r.rest-1))
	// The run before the part's own is the answer if none of those is. Behind its own are some of the next part, if not
	// of the next block: to have as many each time, and to halve them without a branch to guess, is faster.
	at := int(r.part(block, key)) - 1
	n := min(r.few, int(r.index[block+1])-at)
	for n > 1 {
		half := n >> 1
		next := at + half
		if r.low[next] > low {
			next = at
		}
		at = next
		n -= half
	}
	return at
}

// from visits the runs from a key on, the first from there, until visit says no.
func (r *runs[L]) from(key uint64, visit func(start uint64, value uint16) (more bool)) {
	i := r.find(key)
	if !visit(key, r.value[i]) {
		return
	}
	i++
	for block := key >> r.rest; block < 1<<blockBits; block++ {
		for ; i < int(r.index[block+1]); i++ {
			if !visit(block<<r.rest|uint64(r.low[i]), r.value[i]) {
				return
			}
		}
	}
}

// within is the length of the widest block around a key that stays in its run i.
func (r *runs[L]) within(i int, key uint64) int {
	width, length := int(r.rest)+blockBits, 0
	shared := func(outside uint64) int { return bits.LeadingZeros64((key ^ outside) << (64 - width)) }
	block := key >> r.rest
	from := block << r.rest
	if i >= int(r.index[block]) && r.low[i] > 0 {
		length = shared(from|uint64(r.low[i])-1) + 1
	}
	if i+1 < int(r.index[block+1]) {
		length = max(length, shared(from|uint64(r.low[i+1]))+1)
	}
	if length > 0 {
		return length // a border in the key's own block is nearer than any beyond it
	}
	// All of the block is in the run. Twice as many blocks are, if it begins with the first of them or before, and ends
	// with the last or behind.
	for k := uint(1); k <= blockBits; k++ {
		first := block >> k << k
		begins := int(r.index[first]) > i || int(r.index[first+1]) > i && r.low[i] == 0
		if !begins || int(r.index[first+1<<k]) > i+1 {
			return blockBits - int(k) + 1
		}
	}
	return 0
}
