package replication

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a ledger that counts how often it is listed.
type counted struct {
	*book
	lists atomic.Int64
}

func (c *counted) Pending(replica, after string, limit int) ([]Entry, string, error) {
	c.lists.Add(1)
	return c.book.Pending(replica, after, limit)
}

// TestQuiet: what nothing can be done about is not listed every minute.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{book: newBook()}
		c.push("v1", sum(nil), "gone") // nobody has it any more
		newInBubble(t, c)
		time.Sleep(time.Hour + time.Minute)
		if n := c.lists.Load(); n < 3 || n > 8 {
			t.Errorf("listed %d times", n)
		}
	})
}
