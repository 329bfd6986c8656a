package proxy

import (
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// minSplice is from how many bytes on a body is moved inside the kernel: for less the pipe costs more than it saves.
const minSplice = 64 << 10

// bufferSize is what a body is copied with that cannot be moved: fewer, larger copies, since a layer has megabytes.
const bufferSize = 128 << 10

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// movable is a body that may be moved inside the kernel.
type movable interface {
	spliceable() int64 // bytes, once what is buffered has been read
	buffered() int     // bytes
	fill(pipe *splice.Pipe, most int64) (int, error)
}

// passing is an answer's body on its way to the client.
type passing struct {
	io.Reader
	pipes *splice.Pool
	sent  *atomic.Int64   // bytes
	count func(bytes int) // of what was pulled; nil: nobody wants to know
}

func (p *passing) Read(to []byte) (int, error) {
	n, err := p.Reader.Read(to)
	p.took(n)
	return n, err
}

func (p *passing) took(n int) {
	p.sent.Add(int64(n))
	if n > 0 && p.count != nil {
		p.count(n)
	}
}

// spliceable is how much of the body may be moved inside the kernel, once what is buffered here has been read.
func (p *passing) spliceable() int64 {
	if from, ok := p.Reader.(movable); ok {
		return from.spliceable()
	}
	return 0
}

// WriteTo moves the body inside the kernel, where it is handed a TCP connection.
func (p *passing) WriteTo(w io.Writer) (n int64, err error) {
	to, ok := w.(interface{ TCP() *net.TCPConn })
	if !ok || to.TCP() == nil || p.spliceable() < minSplice {
		return p.copyTo(w)
	}
	pipe, err := p.pipes.Get()
	if err != nil {
		return p.copyTo(w)
	}
	defer p.pipes.Put(pipe)
	for from := p.Reader.(movable); p.spliceable() >= minSplice; {
		var moved int64
		if from.buffered() > 0 {
			moved, err = p.copyBuffered(w)
		} else {
			moved, err = p.move(to.TCP(), from, pipe)
		}
		if n += moved; err != nil {
			return n, err
		}
	}
	rest, err := p.copyTo(w)
	return n + rest, err
}

// copyBuffered copies what one read gives.
func (p *passing) copyBuffered(w io.Writer) (int64, error) {
	var buffer [4 << 10]byte
	n, err := p.Read(buffer[:])
	if err != nil {
		return 0, err
	}
	n, err = w.Write(buffer[:n])
	return int64(n), err
}

// move fills and drains the pipe once.
func (p *passing) move(to *net.TCPConn, from movable, pipe *splice.Pipe) (int64, error) {
	n, err := from.fill(pipe, splice.Size)
	if err != nil {
		return 0, err
	}
	p.took(n)
	return int64(n), pipe.Drain(to)
}

// copyTo copies what is left, or as much as is held here before the rest can be moved.
func (p *passing) copyTo(w io.Writer) (n int64, err error) {
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{p}, *buffer)
}
