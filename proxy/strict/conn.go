package strict

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a client's connection that net/http's server reads. What it hands on is valid up to there: a head only when
// it is whole, a body as it comes. What breaks the rules is answered here, in turn with the answers before it.
//
// One goroutine reads at a time, as net/http does; deadlines, writes and Close may come from others.
//
// Of what is held the first ready bytes are valid, and the first given of those have been handed on. After lookAhead
// one byte was handed on before it was judged: given is 1 then, and ready 0.
type Conn struct {
	net.Conn // the client's, in clear text

	// Static.
	headTime time.Duration
	heads    *Heads
	refused  func(*Refusal)

	// Owned by whoever reads.
	phase    phase
	head     head
	chunks   chunks
	left     int64    // of a body with a Content-Length, not judged yet
	judged   int64    // of the body
	emptied  bool     // an empty line before the request was taken out
	held     buffer   // taken from the socket and not handed on
	given    int      // of held, that have been handed on all the same
	ready    int      // of held, that may be handed on
	refusal  *Refusal // of a head, to be answered
	finished error    // of all reads to come

	broken    atomic.Bool // in the middle of a body
	seen      seen        // of what comes next, by who does not read
	diverting sync.Mutex
	diversion *diversion // Guarded by diverting, which who reads into nowhere holds.

	mu       sync.Mutex
	deadline time.Time // of reads, as it was set from outside. Guarded by mu.
	headEnd  time.Time // when the head that has begun must be whole; zero: none has. Guarded by mu.
	grown    int64     // what was taken of heads, in bytes. Guarded by mu.
	closed   bool      // Guarded by mu.
}

// phase is what comes next.
type phase int

const (
	inHead phase = iota
	inBody       // with a Content-Length
	inChunks
)

// New wraps a connection before anything was read from it. A head that has begun must be whole within headTime, and
// what large ones hold is taken of heads. refused, which may be nil, hears of each request that is none.
func New(inner net.Conn, headTime time.Duration, heads *Heads, refused func(*Refusal)) *Conn {
	return &Conn{Conn: inner, headTime: headTime, heads: heads, refused: refused}
}

// scratch is the least that a reader must have room for, so that its room is read into before it is judged.
const scratch = 512

// chunkAhead bounds what is read behind a chunk's data, in bytes.
const chunkAhead = 4 << 10

// Read hands on what is valid. One call never hands on bytes of two requests, nor of a head and a body: who has parsed
// a head has nothing of its body in his buffer. All of p may be written to.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	c.seen.judged.Store(c.judged)
	c.seen.divertible.Store(c.divertible())
	return n, err
}

func (c *Conn) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case isNowhere(p):
			return c.divert(p)
		case c.given < c.ready:
			return c.handOn(p), nil
		case c.refusal != nil:
			c.answerRefusal()
		case c.finished != nil:
			return 0, c.finished
		case len(p) == 1 && c.phase == inHead && c.given == 0:
			return c.lookAhead(p)
		case c.held.len() == 0 && (len(p) >= scratch || c.phase == inBody):
			if n, err := c.direct(p); n > 0 || err != nil {
				return n, err
			}
		default:
			if err := c.take(); err != nil {
				return 0, err
			}
		}
	}
}

// handOn gives what was judged to be valid.
func (c *Conn) handOn(p []byte) int {
	n := copy(p, c.held.bytes()[c.given:c.ready])
	if c.given += n; c.given == c.ready {
		c.drop(c.ready)
	}
	return n
}

// lookAhead serves net/http's read of a single byte while a request is being answered, which is there to see the client
// leave. The byte is handed on unjudged: the server reads on for more only after it has answered, and what is wrong is
// refused then.
func (c *Conn) lookAhead(p []byte) (int, error) {
	for c.skipEmptyLine(); c.held.len() == 0 || c.halfEmptyLine(); c.skipEmptyLine() {
		n, err := c.Conn.Read(p)
		if n == 0 {
			return 0, err
		}
		c.held.add(p)
	}
	p[0], c.given = c.held.bytes()[0], 1
	return 1, nil
}

// direct reads into p itself, and keeps what cannot be handed on yet.
func (c *Conn) direct(p []byte) (int, error) {
	switch c.phase {
	case inHead:
	case inBody:
		p = p[:min(int64(len(p)), c.left)]
	case inChunks:
		p = p[:min(int64(len(p)), c.chunks.left+chunkAhead)]
	}
	n, err := c.Conn.Read(p)
	switch {
	case n == 0:
		return 0, err
	case c.phase == inHead && p[0] == '\r': // an empty line is taken out of what is held
		c.held.add(p[:n])
		return 0, nil
	}
	valid, ok := c.judge(p[:n])
	if ok {
		c.held.add(p[valid:n])
	}
	return valid, nil
}

// take judges what is held, or reads more of it.
func (c *Conn) take() error {
	if c.judgeHeld() {
		return nil
	}
	if c.phase == inHead && c.held.len() > 0 {
		c.hurry()
	}
	if c.phase == inHead && c.held.isFull() && !c.mayGrow() {
		c.refuse(errNoRoom)
		return nil
	}
	n, err := c.Conn.Read(c.held.space())
	c.held.extend(n)
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF) && c.phase == inHead && c.held.len() > 0:
		c.refuse(errCut)
		return nil
	}
	return err
}

// judgeHeld reports whether something came of what is held.
func (c *Conn) judgeHeld() bool {
	if c.skipEmptyLine(); c.held.len() == 0 || c.halfEmptyLine() {
		return false
	}
	valid, ok := c.judge(c.held.bytes())
	if ok {
		c.ready = valid
	}
	return valid > 0 || !ok
}

// skipEmptyLine takes out the one empty line that old clients send behind a body (RFC 9112, 2.2).
func (c *Conn) skipEmptyLine() {
	if c.phase == inHead && !c.emptied && c.given == 0 && bytes.HasPrefix(c.held.bytes(), []byte("\r\n")) {
		c.drop(2)
		c.emptied = true
	}
}

// halfEmptyLine: what may be an empty line is not there as a whole.
func (c *Conn) halfEmptyLine() bool {
	return c.phase == inHead && c.held.len() == 1 && c.held.bytes()[0] == '\r'
}

// judge reads on in b, which begins with the first byte that was not valid yet, and says how many are. It is not ok if
// the first one breaks the rules; that has been seen to then.
func (c *Conn) judge(b []byte) (valid int, ok bool) {
	var why *Refusal
	switch c.phase {
	case inHead:
		if valid, why = c.head.scan(b); why != nil {
			c.refuse(why)
			return 0, false
		}
		if valid > 0 {
			c.beginBody()
		}
		return valid, true
	case inBody:
		valid = int(min(int64(len(b)), c.left))
		if c.left -= int64(valid); c.left == 0 {
			c.phase = inHead
		}
	case inChunks:
		if valid, why = c.chunks.scan(b); why != nil && valid == 0 {
			c.breakOff(why)
			return 0, false
		}
		if c.chunks.at == bodyEnd {
			c.phase = inHead
		}
	}
	c.judged += int64(valid)
	return valid, true
}

// beginBody is for when a head is whole.
func (c *Conn) beginBody() {
	c.relax()
	switch {
	case c.head.codings > 0:
		c.phase, c.chunks = inChunks, chunks{}
	case c.head.length > 0:
		c.phase, c.left = inBody, c.head.length
	}
	c.head, c.judged, c.emptied = head{}, 0, false
	c.seen.bodies.Add(1)
}

// drop forgets the first bytes of what is held.
func (c *Conn) drop(n int) {
	if grown := c.held.hasGrown(); c.held.drop(n) && grown {
		c.giveBack()
	}
	c.given, c.ready = 0, 0
}

// NetConn is the client's connection.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// SetDeadline is for reads and writes.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline holds as well as the deadline of a head that has begun.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetReadDeadline(earlier(c.deadline, c.headEnd))
}

// hurry sets a deadline for a head that has begun. net/http sets one only when it has seen the first bytes, which here
// is when all are there.
func (c *Conn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headEnd.IsZero() {
		c.headEnd = time.Now().Add(c.headTime)
		_ = c.Conn.SetReadDeadline(earlier(c.deadline, c.headEnd))
	}
}

// relax takes back the deadline of a head.
func (c *Conn) relax() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.headEnd.IsZero() {
		c.headEnd = time.Time{}
		_ = c.Conn.SetReadDeadline(c.deadline)
	}
}

// earlier is the earlier one of two deadlines. A zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// ReadFrom lets the kernel move an answer's body where the inner connection can have it do so.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c.Conn}, r, buf[:])
}
