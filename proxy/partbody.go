package proxy

import (
	"errors"
	"io"
	"sync"
)

// partBody is the body of a part of an upload. What is taken of it from the client is kept, up to maxKept, as long as
// it may have to be sent again to another replica. Of a body that is known to be longer nothing is kept, so that it moves
// inside the kernel: that goes elsewhere only before its first byte was taken.
type partBody struct {
	// Static.
	from  *clientBody
	cache *contentCache

	reading sync.Mutex // Held while the client's body is read: a read may outlive the turn that began it.

	mu    sync.Mutex
	now   *bodyTurn // whoever else still reads gives way to it. Guarded by mu, as all below.
	kept  []byte    // all that was taken, unless lost
	room  int64     // that cache has given for it
	lost  bool      // some of what was taken is not kept, or nobody will need it any more
	ended bool      // all of it was taken
}

// bodyTurn reads a part's body from its beginning, for one replica.
type bodyTurn struct {
	of *partBody
	at int // of what is kept
}

// errGaveWay ends a turn after which another has begun.
var errGaveWay = errors.New("the part is sent to another replica")

// begin begins a turn, and ends the one before. It returns nil if too much was taken for another one.
func (b *partBody) begin() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return nil
	}
	b.now = &bodyTurn{of: b}
	if b.from.x.in.ContentLength > maxKept {
		return movingTurn{b.now}
	}
	return b.now
}

// whole reports whether all that was taken is at hand.
func (b *partBody) whole() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.lost
}

// content is all of the body, if all of it was taken and is kept.
func (b *partBody) content() (content []byte, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept, b.ended && !b.lost
}

// release gives back what was taken of memory.
func (b *partBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose()
}

// lose needs mu.
func (b *partBody) lose() {
	b.cache.give(b.room)
	b.lost, b.kept, b.room = true, nil, 0
}

// Read gives what is kept first.
func (t *bodyTurn) Read(p []byte) (int, error) {
	b := t.of
	b.reading.Lock()
	defer b.reading.Unlock()
	n, err := t.readKept(p)
	if n > 0 || err != nil {
		return n, err
	}
	n, err = b.from.Read(p)
	t.keep(p[:n], err)
	return n, err
}

// readKept returns nothing where the client has to be asked.
func (t *bodyTurn) readKept(p []byte) (int, error) {
	b := t.of
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now != t {
		return 0, errGaveWay
	}
	n := copy(p, b.kept[min(t.at, len(b.kept)):])
	t.at += n
	if b.ended && t.at >= len(b.kept) {
		b.from.allTaken()
		if n == 0 {
			return 0, io.EOF
		}
	}
	return n, nil
}

// keep holds what was read. What came while another turn began is that one's, whether there is room or not.
func (t *bodyTurn) keep(read []byte, err error) {
	b := t.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = errors.Is(err, io.EOF) || b.from.isWhole()
	switch {
	case len(read) == 0:
	case b.now != t, !b.lost && b.fits(len(read)):
		b.kept = append(b.kept, read...)
		t.at += len(read)
	default:
		b.lose()
	}
}

// fits makes room for so many bytes more, and needs mu.
func (b *partBody) fits(more int) bool {
	need := len(b.kept) + more
	if int64(need) <= b.room {
		return true
	}
	size := min(max(need, 2*len(b.kept)), maxKept)
	if length := b.from.x.in.ContentLength; length >= 0 {
		size = int(length)
	}
	grows := int64(size) - b.room
	if need > size || size > maxKept || !b.cache.take(grows) {
		return false
	}
	b.room += grows
	b.kept = append(make([]byte, 0, size), b.kept...)
	return true
}

func (t *bodyTurn) Close() error { return nil }

// movingTurn is one of a body that may move itself (io.WriterTo).
type movingTurn struct{ *bodyTurn }

// WriteTo has the body move, after what was taken while another turn began.
func (t movingTurn) WriteTo(w io.Writer) (int64, error) {
	b := t.of
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mu.Lock()
	if b.now != t.bodyTurn {
		b.mu.Unlock()
		return 0, errGaveWay
	}
	before := b.kept[min(t.at, len(b.kept)):]
	b.lose()
	b.mu.Unlock()
	if len(before) > 0 {
		if n, err := w.Write(before); err != nil {
			return int64(n), err
		}
	}
	n, err := b.from.WriteTo(w)
	return int64(len(before)) + n, err
}
