package ledger

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	tryEvery = 5 * time.Second // to open it, or to write again
	sayEvery = time.Minute     // that it is not available
)

// Available is nil, or why something could not be written. It is nil again when as much as pushes take could be.
func (l *Ledger) Available() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.trouble
}

// Outages is how often it has become unavailable, since it was opened or could not be.
func (l *Ledger) Outages() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.outages
}

// opened is the file, or why it is not open.
func (l *Ledger) opened() (*bolt.DB, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.db == nil {
		return nil, l.trouble
	}
	return l.db, nil
}

// tryAgain is called by whoever writes.
func (l *Ledger) tryAgain() {
	if _, err := l.opened(); err != nil {
		l.tryOpen()
		return
	}
	if l.Available() != nil || l.broken.Load() {
		l.note(l.probe())
	}
}

// probeSize is what some pushes take. Less may find room where none of them does.
const probeSize = 64 << 10

// probe leaves room for them in the file.
func (l *Ledger) probe() error {
	fill := func(t *tx) error { return t.putKey(bucketMeta, keyProbe, make([]byte, probeSize)) }
	empty := func(t *tx) error { return t.deleteKey(bucketMeta, keyProbe) }
	if err := l.commit([]write{newWrite(fill)}); err != nil {
		return err
	}
	return l.commit([]write{newWrite(empty)})
}

// note keeps what came of a try, and says what has changed; of what stays it says so again.
func (l *Ledger) note(err error) {
	l.mu.Lock()
	now, before := time.Now(), l.trouble
	sayIt := err != nil && (before == nil || now.Sub(l.said) >= sayEvery)
	l.trouble = err
	if err != nil && before == nil {
		l.outages++
	}
	if sayIt {
		l.said = now
	}
	l.mu.Unlock()
	switch {
	case sayIt:
		l.log.Error("the ledger is not available; it is tried again every few seconds", "error", err)
	case err == nil && before != nil:
		l.log.Info("the ledger is available again")
	}
}
