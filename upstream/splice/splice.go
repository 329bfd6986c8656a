// Package splice moves bytes from one TCP connection to another inside the kernel (splice(2)), through a pipe: no byte
// of a layer is copied into this process. Filling and draining are two steps, so that whoever moves bytes can tell
// which side is waited for.
package splice

import (
	"errors"
	"sync"
)

// Size is how many bytes a pipe holds at most, where the kernel allows it: fewer, larger steps.
const Size = 256 << 10

// maxKept bounds the pipes that wait for the next body.
const maxKept = 32

// ErrUnsupported means that nothing was moved, and that bytes have to be copied: on another system than Linux, or where
// there is no pipe to be had.
var ErrUnsupported = errors.New("bytes cannot be moved inside the kernel here")

// Pool lends pipes. The zero value has none.
type Pool struct {
	most int // static

	mu   sync.Mutex
	lent int     // Guarded by mu.
	kept []*Pipe // empty ones. Guarded by mu.
}

// NewPool is for at most so many bodies at once. Each takes two descriptors, and Size bytes of the kernel's memory
// while whoever takes them is slow.
func NewPool(most int) *Pool { return &Pool{most: most} }

// Get returns an empty pipe. It fails where there is none to be had: bytes can be copied then.
func (p *Pool) Get() (*Pipe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lent >= p.most {
		return nil, ErrUnsupported
	}
	p.lent++
	if last := len(p.kept) - 1; last >= 0 {
		pipe := p.kept[last]
		p.kept = p.kept[:last]
		return pipe, nil
	}
	pipe, err := newPipe()
	if err != nil {
		p.lent--
	}
	return pipe, err
}

// Put takes a pipe back. One that still holds bytes of a transfer that broke off is closed, so that they reach nobody
// else.
func (p *Pool) Put(pipe *Pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent--
	if pipe.held > 0 || len(p.kept) == maxKept {
		pipe.close()
		return
	}
	p.kept = append(p.kept, pipe)
}

// Close closes the pipes that nobody has. Those that come back later stay open.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pipe := range p.kept {
		pipe.close()
	}
	p.kept = nil
}
