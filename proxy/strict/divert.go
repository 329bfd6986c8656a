package strict

import (
	"errors"
	"io"
	"sync/atomic"
)

// diversion takes bytes of a body from the socket, most at most, to where the reader of that body wants them.
type diversion struct {
	take  func(most int64) (int, error)
	taken int
}

// nowhere is what Divert has a body read into: net/http hands it on to Conn.Read, which knows it and puts nothing
// there. It is large, since the reader of net/http passes by its own buffer for what is larger than that.
var nowhere [1 << 20]byte

func isNowhere(p []byte) bool { return len(p) > 0 && &p[0] == &nowhere[0] }

// minDiverted is what net/http's reader does not pass by its buffer, in bytes, with room to spare.
const minDiverted = 16 << 10

// seen is what comes next, as it was after the last read.
type seen struct {
	bodies     atomic.Uint64 // that have begun, those of no bytes included
	judged     atomic.Int64
	divertible atomic.Int64 // bytes
}

// Body is which one the current request's body is, for Divert. It is asked by that request's handler.
func (c *Conn) Body() uint64 { return c.seen.bodies.Load() }

// Divertible is how many bytes of the current request's body can be diverted now: 0 while some were taken from the
// socket that its reader, who has read so many, has not got. Those have to be read first.
func (c *Conn) Divertible(read int64) int64 {
	if c.seen.judged.Load() != read {
		return 0
	}
	return c.seen.divertible.Load()
}

// divertible is for who reads.
func (c *Conn) divertible() int64 {
	if c.phase != inBody || c.held.len() > 0 || c.left < minDiverted {
		return 0
	}
	return c.left
}

// Divert has take move bytes of a body from the socket, up to most, in place of a read of body itself. net/http counts
// them as read, so that it knows where the next request begins. which says which body it is: a sender may be late,
// since net/http reads on for what is left of a body when its handler has returned, and then for the next request.
func (c *Conn) Divert(body io.Reader, which uint64, take func(most int64) (int, error)) (int, error) {
	c.diverting.Lock()
	defer c.diverting.Unlock()
	if c.Body() != which || c.seen.divertible.Load() == 0 {
		return 0, errNoDiversion
	}
	d := &diversion{take: take}
	c.diversion = d
	defer func() { c.diversion = nil }()
	n, err := body.Read(nowhere[:])
	if n != d.taken {
		return d.taken, errNoDiversion
	}
	return n, err
}

var errNoDiversion = errors.New("bytes of a body were to be diverted that are not there any more")

// divert is a read into nowhere.
func (c *Conn) divert(p []byte) (int, error) {
	d := c.diversion
	if d == nil || c.divertible() == 0 {
		return 0, errNoDiversion
	}
	n, err := d.take(min(int64(len(p)), c.left))
	d.taken = n
	c.judged += int64(n)
	if c.left -= int64(n); c.left == 0 {
		c.phase = inHead
	}
	return n, err
}
