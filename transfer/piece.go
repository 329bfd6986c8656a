package transfer

import (
	"sync/atomic"
)

// Piece is how much of a blob gets through to a replica in one request, as its refusals have taught: what stands before a
// registry may take small bodies only. The zero value has learnt nothing.
type Piece struct{ most atomic.Int64 }

// leastPiece: who takes less takes no blobs.
const leastPiece = least

// size is what to try.
func (p *Piece) size(usual int64) int64 {
	if most := p.most.Load(); most > 0 {
		return min(most, usual)
	}
	return usual
}

// learn only makes it smaller.
func (p *Piece) learn(n int64) {
	for {
		most := p.most.Load()
		if most > 0 && most <= n || p.most.CompareAndSwap(most, n) {
			return
		}
	}
}
