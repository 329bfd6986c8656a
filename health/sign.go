package health

import (
	"sync/atomic"
	"time"
)

// sign is when a target last gave a sign of life to a request. It is told of at each answer and each read of a body,
// by all of them at once, so it takes no lock.
type sign struct {
	// Static.
	began time.Time

	latest atomic.Int64 // nanoseconds from began
}

func (s *sign) give(at time.Time) {
	since := int64(at.Sub(s.began))
	for latest := s.latest.Load(); since > latest; latest = s.latest.Load() {
		if s.latest.CompareAndSwap(latest, since) {
			return
		}
	}
}

// last is no later than began if there was none.
func (s *sign) last() time.Time { return s.began.Add(time.Duration(s.latest.Load())) }
