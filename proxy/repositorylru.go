package proxy

import (
	"sync"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxPerRepository bounds a perRepositoryLRU, in references. What one repository has pushes out nothing of another's.
const maxPerRepository = 256

// perRepositoryLRU remembers something of tags or digests, by repository.
type perRepositoryLRU[V any] struct {
	mu sync.Mutex
	of *simplelru.LRU[string, *simplelru.LRU[string, V]] // Guarded by mu.
}

func newPerRepositoryLRU[V any](most int) *perRepositoryLRU[V] {
	return &perRepositoryLRU[V]{of: newLRU[string, *simplelru.LRU[string, V]](most)}
}

func newLRU[K comparable, V any](size int) *simplelru.LRU[K, V] {
	lru, err := simplelru.NewLRU[K, V](size, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return lru
}

func (s *perRepositoryLRU[V]) get(r ledger.Reference) (v V, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of, known := s.of.Get(r.Repository); known {
		return of.Get(r.Name)
	}
	return v, false
}

func (s *perRepositoryLRU[V]) deleteFunc(drops func(V) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.of.Values() {
		for _, name := range of.Keys() {
			if v, ok := of.Peek(name); ok && drops(v) {
				of.Remove(name)
			}
		}
	}
}

func (s *perRepositoryLRU[V]) set(r ledger.Reference, v V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, ok := s.of.Get(r.Repository)
	if !ok {
		of = newLRU[string, V](maxPerRepository)
		s.of.Add(r.Repository, of)
	}
	of.Add(r.Name, v)
}
