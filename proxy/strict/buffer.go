package strict

import "sync"

// bufferSize is what a connection first needs for bytes that cannot be handed on yet. Few need any: what comes whole
// goes from the socket to the reader.
const bufferSize = 4 << 10

// copyBuffer is for an answer's body that the kernel cannot move, in bytes.
const copyBuffer = 32 << 10

var (
	buffers     = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}
)

// buffer holds what was read and cannot be handed on yet. The zero value is empty, and takes no memory.
type buffer struct {
	all  []byte
	from int // what is before has been dropped
}

func (b *buffer) bytes() []byte { return b.all[b.from:] }

func (b *buffer) len() int { return len(b.all) - b.from }

// space is room for more, which extend takes in.
func (b *buffer) space() []byte {
	switch {
	case b.all == nil:
		b.all = buffers.Get().(*[bufferSize]byte)[:0]
	case len(b.all) < cap(b.all):
	case b.from > 0:
		b.all = b.all[:copy(b.all, b.bytes())]
		b.from = 0
	default:
		old := b.all
		b.all = append(make([]byte, 0, 2*len(old)), old...)
		release(old)
	}
	return b.all[len(b.all):cap(b.all)]
}

func (b *buffer) extend(n int) { b.all = b.all[:len(b.all)+n] }

func (b *buffer) add(p []byte) {
	for len(p) > 0 {
		n := copy(b.space(), p)
		b.extend(n)
		p = p[n:]
	}
}

// drop forgets the first n bytes. It reports whether nothing is left.
func (b *buffer) drop(n int) bool {
	if b.from += n; b.from < len(b.all) {
		return false
	}
	release(b.all)
	*b = buffer{}
	return true
}

// isFull reports whether space needs a larger buffer.
func (b *buffer) isFull() bool { return b.all != nil && b.from == 0 && len(b.all) == cap(b.all) }

func (b *buffer) hasGrown() bool { return cap(b.all) > bufferSize }

// release gives a buffer to the next connection. One that has grown is left to the collector.
func release(b []byte) {
	if cap(b) == bufferSize {
		buffers.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}
