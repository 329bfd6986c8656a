package transfer

import (
	"sync"
	"time"
)

// Piece is how much of a blob gets through to a replica in one request, as its refusals have taught: what stands before a
// registry may take small bodies only. The zero value has learnt nothing.
type Piece struct {
	mu    sync.Mutex
	most  int64     // Guarded by mu; 0: nothing is known.
	until time.Time // Guarded by mu; zero: for good.
}

const (
	leastPiece = least     // who takes less takes no blobs
	doubt      = time.Hour // for what only broken connections have taught: they may have had another reason
)

// size is what to try.
func (p *Piece) size(usual int64, now time.Time) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.until.IsZero() && now.After(p.until) {
		p.most, p.until = 0, time.Time{}
	}
	if p.most == 0 {
		return usual
	}
	return min(p.most, usual)
}

// learn only makes it smaller, until a time, or for good.
func (p *Piece) learn(n int64, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most == 0 || n < p.most {
		p.most, p.until = n, until
	}
}

// sending is how a blob is sent, over all uploads that it takes. Of one goroutine.
type sending struct {
	piece  int64 // bytes of a PATCH; 0: not known yet
	stuck  int   // PATCHes in a row that broke off with nothing taken
	shrunk bool  // since it was last looked at: there is reason to try on
}

func (s *sending) shrank() bool {
	was := s.shrunk
	s.shrunk = false
	return was
}
