package transfer

import (
	"sync"
	"time"
)

// Piece is how much of a blob gets through to a replica in one request. It is known from blobs that got through in
// smaller pieces, since a proxy before a registry may limit bodies. For the zero value nothing is known.
type Piece struct {
	mu    sync.Mutex
	most  int64     // Guarded by mu; 0: nothing is known.
	until time.Time // Guarded by mu.
}

const (
	leastChunk = least     // who takes less takes no blobs
	lowerLasts = time.Hour // how long it is believed: a full quota is 413 as well, and connections break for any reason
)

// size returns how large a piece to try.
func (p *Piece) size(usual int64, now time.Time) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.After(p.until) {
		p.most = 0
	}
	if p.most == 0 {
		return usual
	}
	return min(p.most, usual)
}

// lower records the size of the pieces in which a blob got through. It only makes pieces smaller, for a while.
func (p *Piece) lower(n int64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most == 0 || n < p.most {
		p.most, p.until = n, now.Add(lowerLasts)
	}
}

// sending is how a blob is sent, over all its uploads. It belongs to one goroutine.
type sending struct {
	chunkSize int64 // bytes of a PATCH; 0: not known yet
	stuck     int   // PATCHes in a row that broke off with nothing taken
	halved    bool  // a larger piece did not get through
	shrunk    bool  // since it was last looked at: there is reason to try on
}

func (s *sending) shrank() bool {
	was := s.shrunk
	s.shrunk = false
	return was
}
