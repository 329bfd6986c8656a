// Package splice moves bytes from one TCP connection to another inside the kernel (splice(2)), through a pipe: no byte
// of a layer is copied into this process. Filling and draining are two steps, so that whoever moves bytes can tell which
// side is waited for.
package splice

import (
	"errors"
	"sync"
)

// Size is how many bytes a pipe holds at most, where the kernel allows it: fewer, larger steps.
const Size = 256 << 10

// maxKept bounds the pipes that wait for the next body: two descriptors each.
const maxKept = 32

// ErrUnsupported means that nothing was moved, and that bytes have to be copied: on another system than Linux, or where
// there is no descriptor for a pipe.
var ErrUnsupported = errors.New("bytes cannot be moved inside the kernel here")

// kept are empty pipes.
var kept struct {
	sync.Mutex
	pipes []*Pipe
}

// Get returns an empty pipe. It fails where descriptors are short: bytes can be copied then.
func Get() (*Pipe, error) {
	kept.Lock()
	defer kept.Unlock()
	if last := len(kept.pipes) - 1; last >= 0 {
		p := kept.pipes[last]
		kept.pipes = kept.pipes[:last]
		return p, nil
	}
	return newPipe()
}

// Put takes a pipe back. One that still holds bytes of a transfer that broke off is closed, so that they reach nobody
// else.
func Put(p *Pipe) {
	kept.Lock()
	defer kept.Unlock()
	if p.held > 0 || len(kept.pipes) == maxKept {
		p.close()
		return
	}
	kept.pipes = append(kept.pipes, p)
}
