package ledger

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/fairlead-gateway/fairlead/boltfile"
)

// maxTogether bounds the writes that share a flush.
const maxTogether = 256

type write struct {
	do    func(*tx) error
	done  chan error   // has room for the one answer
	taken *atomic.Bool // by who does it, or by who no longer waits: then it is never done
}

func newWrite(do func(*tx) error) write { return write{do, make(chan error, 1), new(atomic.Bool)} }

// submit returns when the write is durable. What do returns undoes all writes of the same flush.
func (l *Ledger) submit(do func(*tx) error) error { return l.submitWithin(l.patience, do) }

// hungPatience bounds the wait for a disk that has not answered before.
const hungPatience = time.Second

// submitWithin bounds the wait. What has not begun by then never does: whoever was told that it is not written may have
// had it written elsewhere, and later things upon it.
func (l *Ledger) submitWithin(within time.Duration, do func(*tx) error) error {
	if _, err := l.opened(); err != nil {
		return err
	}
	if errors.Is(l.Available(), errLate) {
		within = min(within, hungPatience)
	}
	w := newWrite(do)
	wait := time.NewTimer(within)
	defer wait.Stop()
	select {
	case l.writes <- w:
	case <-l.stop:
		return fmt.Errorf("%w: it is closed", ErrUnavailable)
	case <-wait.C:
		return l.late("busy", within)
	}
	select {
	case err := <-w.done:
		return err
	case <-wait.C:
		if w.taken.CompareAndSwap(false, true) {
			return l.late("busy", within)
		}
		return l.late("no answer", within)
	}
}

// errLate: the disk does not answer.
var errLate = fmt.Errorf("%w in time", ErrUnavailable)

func (l *Ledger) late(what string, waited time.Duration) error {
	err := fmt.Errorf("%w: %s: %s for %v", errLate, l.path, what, waited.Round(time.Millisecond))
	l.note(err)
	return err
}

// write flushes together what came while the disk was busy with the flush before. What has failed it tries again.
func (l *Ledger) write() {
	defer close(l.stopped)
	var indexing sync.WaitGroup
	defer indexing.Wait()
	indexing.Go(l.keepIndexed)
	pause := time.NewTimer(tryEvery)
	defer pause.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-pause.C:
			l.tryAgain()
			pause.Reset(tryEvery)
		case first := <-l.writes:
			together := l.gather(first)
			err := l.commit(together)
			for _, w := range together {
				w.done <- err
			}
		}
	}
}

func (l *Ledger) gather(first write) []write {
	together := []write{first}
	for len(together) < maxTogether {
		select {
		case w := <-l.writes:
			together = append(together, w)
		default:
			return together
		}
	}
	return together
}

var errUnchanged = errors.New("nothing to write")

func (l *Ledger) commit(together []write) error {
	db, err := l.opened()
	if err != nil {
		return err
	}
	var did *tx
	err = l.guard(func() error {
		return db.Update(func(b *bolt.Tx) error {
			t := newTx(b, l)
			did = t
			for _, w := range together {
				if !w.taken.CompareAndSwap(false, true) {
					continue
				}
				if err := w.do(t); err != nil {
					return err
				}
			}
			if !t.changed {
				return errUnchanged
			}
			return t.putKey(bucketMeta, keyClock, marshal(l.clock.Last))
		})
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		err = fmt.Errorf("%w: %s: %w", ErrUnavailable, l.path, err)
		l.note(err)
		return err
	}
	if err == nil && did.renewed {
		_ = l.read(l.noteRenewals) // what cannot be read is read when it is opened again
	}
	if err == nil && did.set {
		l.settings.tell()
	}
	if err == nil {
		close(*l.changed.Swap(new(make(chan struct{}))))
	}
	return nil
}

// Changed is closed with the next change, made here or merged from another gateway. Who waits for one asks before he
// reads.
func (l *Ledger) Changed() <-chan struct{} { return *l.changed.Load() }

// read runs look with the last durable state.
func (l *Ledger) read(look func(*tx)) error {
	db, err := l.opened()
	if err != nil {
		return err
	}
	err = l.guard(func() error {
		return db.View(func(b *bolt.Tx) error {
			look(newTx(b, l))
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, l.path, err)
	}
	return nil
}

// guard does nothing any more after a file was found damaged: only opening it anew checks the whole file.
func (l *Ledger) guard(do func() error) error {
	if l.broken.Load() {
		return errors.New("it was found damaged; a restart checks it")
	}
	intact, err := boltfile.Guard(do)
	if !intact {
		l.broken.Store(true)
	}
	return err
}
