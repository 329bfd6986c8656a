package tlsbuf

import (
	"sync"
	"sync/atomic"
)

// pool lends buffers, to so many at once: whoever gets none does without, at more calls for the same bytes. So clients
// that take nothing cannot have a process hold more and more, whatever else they are allowed.
type pool[T any] struct {
	most int64
	lent atomic.Int64
	idle sync.Pool
}

// Both come to 16 MiB at most.
var (
	buffers = pool[[bufferSize]byte]{most: 256}
	merges  = pool[[mergeSize]byte]{most: 64}
)

// get is nil if as many are lent as may be.
func (p *pool[T]) get() *T {
	if p.lent.Add(1) > p.most {
		p.lent.Add(-1)
		return nil
	}
	if buffer, ok := p.idle.Get().(*T); ok {
		return buffer
	}
	return new(T)
}

func (p *pool[T]) put(buffer *T) {
	p.idle.Put(buffer)
	p.lent.Add(-1)
}
