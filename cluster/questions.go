package cluster

import (
	"math/rand/v2"
	"sync"
	"time"
)

// maxQuestions bounds how many repositories are asked about at a time.
const maxQuestions = 256

// question is asked once for all that want to know.
type question struct {
	id         uint64
	repository string
	told       chan struct{} // closed when an answer has come
	over       chan struct{} // closed when owner and arbitrated are there

	owner      string
	arbitrated bool
}

// questions are those under way.
type questions struct {
	closed chan struct{} // Static.

	// Guarded by mu.
	mu   sync.Mutex
	last uint64 // begins anywhere: an answer may be to our predecessor
	byID map[uint64]*question
	of   map[string]*question // by repository
	shut bool
	wg   sync.WaitGroup // incremented under mu only, and never once shut
}

func newQuestions() *questions {
	return &questions{
		closed: make(chan struct{}), last: rand.Uint64(),
		byID: map[uint64]*question{}, of: map[string]*question{},
	}
}

// open finds or makes the question about repository; first: the caller asks it and calls done. Not ok: there are
// too many, or nobody is there any more.
func (s *questions) open(repository string) (q *question, first, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.of[repository]; ok {
		return q, false, true
	}
	if s.shut || len(s.of) == maxQuestions {
		return nil, false, false
	}
	s.last = max(1, s.last+1) // 0 is no question
	q = &question{id: s.last, repository: repository, told: make(chan struct{}), over: make(chan struct{})}
	s.byID[q.id], s.of[repository] = q, q
	s.wg.Add(1)
	return q, true, true
}

// answered wakes who asked question id. An answer that comes twice, or to a question long over, wakes nobody.
func (s *questions) answered(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.byID[id]; ok {
		delete(s.byID, id)
		close(q.told)
	}
}

func (s *questions) done(q *question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, q.id)
	delete(s.of, q.repository)
	close(q.over)
	s.wg.Done()
}

// wait reports whether an answer to q came within d. It returns at once when nobody is there any more.
func (s *questions) wait(q *question, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-q.told:
		return true
	case <-timer.C:
	case <-s.closed:
	}
	return false
}

func (s *questions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	close(s.closed)
}

// drain returns when no question is under way any more, after close.
func (s *questions) drain() { s.wg.Wait() }
