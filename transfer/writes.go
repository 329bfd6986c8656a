package transfer

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Name is a tag, a manifest or a blob of a repository at a replica.
type Name struct {
	Replica, Repository, Reference string
	Blob                           bool
}

// ErrDeleted is why a write is cut short: what it would write is to be deleted.
var ErrDeleted = errors.New("it is being deleted")

// Writes keeps writes and deletions of one name apart, as far as they are our own. Several may write a name at once,
// since all write what its digest says or the ledger names. A deletion is alone: otherwise a copy could end after a
// deletion that was taken for done. The zero value is empty. It holds as many names as there are calls in progress, and
// maxUncertain.
type Writes struct {
	mu   sync.Mutex
	of   map[Name]*writers // Guarded by mu.
	kept int               // Guarded by mu: names that are kept because they are uncertain.
}

// Bounds of the names that are remembered because a write ended that may yet take effect: for longer than a replica may
// take for a commit.
const (
	maxUncertain = 16_384
	uncertainFor = 20 * time.Minute
)

// writers are guarded by the mu of Writes.
type writers struct {
	cuts      map[*int]context.CancelCauseFunc // of each who writes
	held      int                              // by clients
	deleting  bool
	uncertain bool        // a write ended, and may yet come about
	kept      *time.Timer // ends that; nil: nothing keeps it
	waiting   int
	freed     chan struct{}
}

// Write waits until nobody deletes the name. The context that it returns ends with ErrDeleted when somebody wants to
// delete it. done says how the write ended; a second call of it does nothing.
func (w *Writes) Write(ctx context.Context, n Name) (cut context.Context, done func(error), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, err := w.undeleted(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	cut, cancel := context.WithCancelCause(ctx)
	me := new(int)
	at.cuts[me] = cancel
	var once sync.Once
	return cut, func(err error) {
		once.Do(func() {
			cancel(nil)
			w.leave(n, at, func() {
				delete(at.cuts, me)
				if Uncertain(err) {
					w.markUncertain(n, at)
				}
			})
		})
	}, nil
}

// Hold waits until nobody deletes the name, and then keeps deletions away until done: a client writes it, and must find
// it there after being told that it is kept. A client's write is not cut short.
func (w *Writes) Hold(ctx context.Context, n Name) (done func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, err := w.undeleted(ctx, n)
	if err != nil {
		return nil, err
	}
	at.held++
	return sync.OnceFunc(func() { w.leave(n, at, func() { at.held-- }) }), nil
}

// undeleted waits until nobody deletes the name. It is called with mu.
func (w *Writes) undeleted(ctx context.Context, n Name) (*writers, error) {
	at := w.at(n)
	for at.deleting {
		if !w.wait(ctx, at) {
			w.drop(n, at)
			return nil, context.Cause(ctx)
		}
	}
	return at, nil
}

// Delete cuts writes of the name short, and waits until nobody writes, holds or deletes it. uncertain means that a write
// has ended which may yet take effect, without further notice. That is reported once.
func (w *Writes) Delete(ctx context.Context, n Name) (done func(), uncertain bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.at(n)
	for at.deleting || at.held > 0 || len(at.cuts) > 0 {
		for _, cut := range at.cuts {
			cut(ErrDeleted)
		}
		if !w.wait(ctx, at) {
			w.drop(n, at)
			return nil, false, context.Cause(ctx)
		}
	}
	at.deleting, uncertain = true, at.uncertain
	w.believe(at)
	return sync.OnceFunc(func() { w.leave(n, at, func() { at.deleting = false }) }), uncertain, nil
}

// markUncertain keeps a name whose write has ended and may yet come about. It is called with mu held.
func (w *Writes) markUncertain(n Name, at *writers) {
	at.uncertain = true
	if at.kept != nil || w.kept == maxUncertain {
		return
	}
	w.kept++
	var mine *time.Timer
	mine = time.AfterFunc(uncertainFor, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if at.kept == mine {
			w.believe(at)
			w.drop(n, at)
		}
	})
	at.kept = mine
}

// believe is called with mu.
func (w *Writes) believe(at *writers) {
	at.uncertain = false
	if at.kept != nil {
		at.kept.Stop()
		at.kept = nil
		w.kept--
	}
}

// Writing reports whether somebody writes or deletes the name in our own name.
func (w *Writes) Writing(n Name) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of[n] != nil && (w.of[n].deleting || len(w.of[n].cuts) > 0)
}

// at is called with mu.
func (w *Writes) at(n Name) *writers {
	if w.of == nil {
		w.of = map[Name]*writers{}
	}
	if w.of[n] == nil {
		w.of[n] = &writers{cuts: map[*int]context.CancelCauseFunc{}, freed: make(chan struct{})}
	}
	return w.of[n]
}

// wait is called with mu, and has it again when it returns. False: ctx has ended.
func (w *Writes) wait(ctx context.Context, at *writers) bool {
	freed := at.freed
	at.waiting++
	w.mu.Unlock()
	defer func() { w.mu.Lock(); at.waiting-- }()
	select {
	case <-freed:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *Writes) leave(n Name, at *writers, change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(at.freed)
	at.freed = make(chan struct{})
	w.drop(n, at)
}

// drop is called with mu.
func (w *Writes) drop(n Name, at *writers) {
	if len(at.cuts) == 0 && at.held == 0 && !at.deleting && at.waiting == 0 && at.kept == nil {
		delete(w.of, n)
	}
}
