// Package ledger is the durable record of what was pushed and deleted: what a tag is now, which replica accepted it, and
// which replicas are known to have it. Each gateway has one of its own, and gateways that exchange pages of theirs come to agree.
package ledger

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

var (
	// ErrUnavailable is what cannot be read or written now: the disk is full, read-only or does not answer, or the ledger is
	// closed. What was to be written may have been.
	ErrUnavailable = errors.New("the ledger is not available")

	// ErrDamaged is returned by Open when it found a file that is no sound ledger, and has moved it aside. Opening again
	// makes a new one.
	ErrDamaged = errors.New("the ledger's file was damaged")
)

// patience bounds every wait for a write to be durable.
const patience = 10 * time.Second

// Ledger is one gateway's record. Its methods may be called from anywhere; reads do not wait for writes.
type Ledger struct {
	// Static after Open.
	path      string
	temporary string // a directory that Close removes
	member    string
	replicas  []string
	now       func() time.Time
	patience  time.Duration
	db        *bolt.DB
	writes    chan write
	stop      chan struct{}
	stopped   chan struct{}

	clock clock // of the writing goroutine alone

	changed atomic.Pointer[chan struct{}] // closed, and another one put in its place, by the writing goroutine

	closing sync.Once
	closed  error // of closing
	broken  atomic.Bool
}

// Close waits for the write under way.
func (l *Ledger) Close() error {
	l.closing.Do(func() {
		close(l.stop)
		wait := time.NewTimer(l.patience)
		defer wait.Stop()
		select {
		case <-l.stopped:
		case <-wait.C:
			l.closed = fmt.Errorf("%w: %s: a write does not end", ErrUnavailable, l.path)
			return
		}
		if !l.broken.Load() { // else a lock may be held for ever
			l.closed = l.db.Close()
		}
		if l.temporary != "" {
			l.closed = errors.Join(l.closed, os.RemoveAll(l.temporary))
		}
	})
	return l.closed
}
