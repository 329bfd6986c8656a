package strict

import "sync/atomic"

// Heads bounds what connections hold together of heads that have begun and are not whole, beyond the first buffer of
// each, in bytes: whoever sends heads of 64 KiB slowly, over many connections, is refused rather than held.
type Heads struct {
	most int64 // static
	held atomic.Int64
}

// NewHeads is for at most so many bytes.
func NewHeads(most int64) *Heads { return &Heads{most: most} }

func (h *Heads) take(bytes int64) bool {
	if h.held.Add(bytes) > h.most {
		h.held.Add(-bytes)
		return false
	}
	return true
}

// mayGrow takes room for a head that does not fit into its buffer, which is made twice as large.
func (c *Conn) mayGrow() bool {
	more := int64(c.held.len())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !c.heads.take(more) {
		return false
	}
	c.grown += more
	return true
}

// giveBack is for when what is held has been handed on, or nobody will want it any more.
func (c *Conn) giveBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heads.held.Add(-c.grown)
	c.grown = 0
}
