package transfer

import (
	"sync"
	"time"
)

// Piece is how much of a blob gets through to a replica in one request, as those have taught that came through in
// smaller ones: what stands before a registry may take small bodies only. Of the zero value nothing is known.
type Piece struct {
	mu    sync.Mutex
	most  int64     // Guarded by mu; 0: nothing is known.
	until time.Time // Guarded by mu.
}

const (
	leastChunk = least     // who takes less takes no blobs
	lowerLasts = time.Hour // how long it is believed: a full quota is 413 as well, and connections break for any reason
)

// size is what to try.
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

// lower is for a blob that is there since it was sent in smaller pieces. It only makes it smaller, for a while.
func (p *Piece) lower(n int64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most == 0 || n < p.most {
		p.most, p.until = n, now.Add(lowerLasts)
	}
}

// sending is how a blob is sent, over all uploads that it takes. Of one goroutine.
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
