package geo

import (
	"cmp"
	"maps"
	"slices"
)

// family writes the networks of IPv4, or those of IPv6, into runs as they come.
type family[L uint16 | uint32] struct {
	runs  *runs[L]
	width int  // bits of a network's key
	shift uint // bits of that behind those of a run's key
	most  int  // the longest prefix that is kept apart
	began bool
	next  uint64 // the first key behind what is written; 0 behind the last one, too

	// What most keys of a block have counts, when networks in it are longer than most.
	block  uint64
	shares map[uint16]uint64 // keys by value; empty outside of such a block
}

func newFamily[L uint16 | uint32](width int, unit uint, most int) *family[L] {
	return &family[L]{runs: newRuns[L](unit), width: width, shift: uint(width) - unit, most: most,
		shares: map[uint16]uint64{}}
}

// add takes networks in the order of their keys, and reports whether one is longer than what is kept apart.
func (f *family[L]) add(start uint64, bits int, value uint16) (long bool) {
	size := uint64(1) << (f.width - bits) // 0 for all of 64 bits
	f.began = true
	if bits <= f.most {
		f.endBlock()
		f.write(start, size, value)
		return false
	}
	if block := start >> (f.width - f.most); block != f.block {
		f.endBlock()
		f.block = block
	}
	f.shares[value] += size
	return true
}

func (f *family[L]) endBlock() {
	if len(f.shares) == 0 {
		return
	}
	behind := f.width - f.most
	f.write(f.block<<behind, 1<<behind, slices.MaxFunc(slices.Sorted(maps.Keys(f.shares)), func(a, b uint16) int {
		return cmp.Compare(f.shares[a], f.shares[b])
	}))
	clear(f.shares)
}

func (f *family[L]) write(start, size uint64, value uint16) {
	if start > f.next {
		f.runs.append(f.next>>f.shift, 0)
	}
	f.runs.append(start>>f.shift, value)
	f.next = (start + size) & (1<<f.width - 1)
}

func (f *family[L]) end() *runs[L] {
	f.endBlock()
	if f.next > 0 || !f.began {
		f.runs.append(f.next>>f.shift, 0)
	}
	return f.runs.end()
}
