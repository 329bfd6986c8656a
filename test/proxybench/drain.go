package main

import (
	"errors"
	"io"
	"sync"
)

// bufferSize is what one call reads or writes at most: large, so that the load is cheap.
const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// drain reads to the end and says how much that was.
func drain(r io.Reader) (n int64, err error) {
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	for {
		m, err := r.Read(buffer[:])
		n += int64(m)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
