// Package ledger is the durable record of what was pushed and deleted: what a tag is now, which replica accepted it,
// and which replicas are known to have it. Each gateway has one of its own, and gateways that exchange pages of theirs
// come to agree.
package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	bolt "go.etcd.io/bbolt"
)

// ErrUnavailable is what cannot be read or written now: the disk is full, read-only or does not answer, the ledger is
// not yet open, or closed. What was to be written may have been.
var ErrUnavailable = errors.New("the ledger is not available")

// patience bounds every wait for a write to be durable.
const patience = 10 * time.Second

// Ledger is one gateway's record. Its methods may be called from anywhere; reads do not wait for writes.
type Ledger struct {
	// Static after Open.
	path      string
	temporary string // a directory that Close removes
	member    string
	now       func() time.Time
	log       *slog.Logger
	patience  time.Duration
	writes    chan write
	stop      chan struct{}
	stopped   chan struct{}

	subscribers []func(Change) // Static after the first write.

	fleetMu sync.Mutex               // held while another fleet is made of the one before
	fleet   atomic.Pointer[fleet]    // never nil
	unkept  map[string]int           // guarded by fleetMu: how often writes ceased to index a holder, since index last looked
	reindex chan struct{}            // holds one
	indexed atomic.Pointer[[]string] // holders

	clock hlc.Clock // of the writing goroutine alone

	changed  atomic.Pointer[chan struct{}] // closed, and another one put in its place, by the writing goroutine
	settings settingsChanged

	mu      sync.RWMutex
	db      *bolt.DB  // Guarded by mu. Nil until it is open, then always the same.
	trouble error     // Guarded by mu: what came of the last try to open it, or to write.
	said    time.Time // Guarded by mu: when trouble was last in the log.
	outages int       // Guarded by mu.

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
		if db, err := l.opened(); err == nil && !l.broken.Load() { // else a lock may be held for ever
			l.closed = db.Close()
		}
		if l.temporary != "" {
			l.closed = errors.Join(l.closed, os.RemoveAll(l.temporary))
		}
	})
	return l.closed
}
