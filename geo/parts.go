package geo

import "math/bits"

// fewRuns are searched without a finer index. A quarter as many are hardly faster, and take four times the memory.
const fewRuns = 64

// split marks a part that has parts. There are fewer runs, and fewer than 1<<26 parts: no database has a billion
// networks.
const (
	split     = 1 << 31
	splitBits = 5 // of a split part, behind its place: by how many bits of a key it is
)

// refine gives the runs a finer index for less than a byte each: in IPv6, 60 of 65,536 blocks have most of what is
// announced. The first parts are the blocks. A part is the number of the first run that starts there or later. One with
// more than a few is split instead: it is the place, among the parts, of its own, which the next bits of a key choose.
func (r *runs[L]) refine() {
	r.parts, r.few = make([]uint32, 1<<blockBits, 1<<blockBits+len(r.low)/2), 0
	for block := range 1 << blockBits {
		r.refinePart(block, r.rest, r.index[block], r.index[block+1])
	}
	r.parts = copyInterruptibly(r.parts, len(r.parts))
}

// refinePart is for the runs from one up to another, which differ in no more than their last bits.
func (r *runs[L]) refinePart(part int, rest uint, from, to uint32) {
	if to-from < fewRuns {
		r.parts[part] = from
		r.few = max(r.few, int(to-from)+1)
		return
	}
	// More parts would be faster by little: runs lie so unevenly that most were empty.
	next := min(uint(bits.Len32(to-from))-5, rest)
	rest -= next
	at := len(r.parts)
	r.parts[part] = split | uint32(at)<<splitBits | uint32(next)
	r.parts = append(r.parts, make([]uint32, 1<<next)...)
	for i := range 1 << next {
		first := from
		for from < to && int(r.low[from]>>rest)&(1<<next-1) == i {
			from++
		}
		r.refinePart(at+i, rest, first, from)
	}
}

// part is the first run that starts in a key's part or later.
func (r *runs[L]) part(block, key uint64) uint32 {
	part, rest := r.parts[block], r.rest
	for part&split != 0 {
		next := uint(part & (1<<splitBits - 1))
		rest -= next
		part = r.parts[part&^split>>splitBits+uint32(key>>rest)&(1<<next-1)]
	}
	return part
}
