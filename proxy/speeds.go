package proxy

import (
	"sync"
	"time"
)

// speedLife is for how long what a replica gave says something.
const speedLife = 10 * time.Minute

// speeds remembers how fast bodies came from each replica, and when one was taken from it.
type speeds struct {
	mu sync.Mutex
	of map[string]speed // by replica. Guarded by mu.
}

type speed struct {
	rate float64 // bytes a second
	at   time.Time
	left time.Time
}

func (s *speeds) forget(lost map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	forgetKeys(s.of, lost)
}

// note is told how fast a body came that had some size.
func (s *speeds) note(replica string, rate float64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.of[replica]
	known.rate, known.at = rate, now
	s.of[replica] = known
}

// leave is told that a body was taken from a replica.
func (s *speeds) leave(replica string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.of[replica]
	known.left = now
	s.of[replica] = known
}

// others is the most that another replica gave lately, in bytes a second, and when a body was taken from this one.
func (s *speeds) others(replica string, now time.Time) (rate float64, left time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, known := range s.of {
		if name != replica && now.Sub(known.at) < speedLife {
			rate = max(rate, known.rate)
		}
	}
	return rate, s.of[replica].left
}
