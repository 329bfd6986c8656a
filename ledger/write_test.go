package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// block keeps the writing goroutine busy until release is called.
func block(t *testing.T, l *Ledger) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	over := make(chan error, 1)
	go func() {
		over <- l.submit(func(*tx) error { close(held); <-free; return nil })
	}()
	<-held
	return func() { close(free); must(t, <-over) }
}

func TestReadsDoNotWaitForWrites(t *testing.T) {
	l, _ := one(t)
	push(t, l, tag("v1"), digest(1), "east")
	release := block(t, l)
	defer release()
	if get(t, l, tag("v1")).Digest != digest(1) {
		t.Error("not read")
	}
	if got := pending(t, l, "west"); len(got) != 2 {
		t.Errorf("pending %v", got)
	}
	must1(l.Since(nil, 9))(t)
	must1(l.Events(0, 9))(t)
}

func TestWritesShareAFlush(t *testing.T) {
	l, _ := one(t)
	change := func() (id int) {
		must(t, l.db.View(func(b *bolt.Tx) error { id = b.ID(); return nil }))
		return id
	}
	release := block(t, l)
	before := change()
	const many = 2*maxTogether + 10
	var all, begun sync.WaitGroup
	begun.Add(many)
	for i := range many {
		all.Go(func() {
			begun.Done()
			push(t, l, tag(fmt.Sprint("v", i)), digest(i), "east")
		})
	}
	begun.Wait()
	release()
	all.Wait()
	flushes := change() - before
	t.Logf("%d writes in %d flushes", many, flushes)
	if flushes < 3 || flushes > many/4 {
		t.Errorf("%d writes in %d flushes", many, flushes)
	}
	if got := pending(t, l, "west"); len(got) != 2*many {
		t.Errorf("%d pending", len(got))
	}
}

func TestWaitsAreBounded(t *testing.T) {
	l, err := attempt(t.TempDir(), "gw1", nil, newWall().now)
	must(t, err)
	l.patience = 20 * time.Millisecond
	held, free := make(chan struct{}), make(chan struct{})
	wantError(t, l.submit(func(*tx) error { close(held); <-free; return nil }), ErrUnavailable) // under way
	<-held
	_, err = l.Push(tag("v1"), Content{Digest: digest(1)}, "east", Request{}) // waiting
	wantError(t, err, ErrUnavailable)
	wantError(t, l.Close(), ErrUnavailable)
	close(free)
	<-l.stopped
	must(t, l.db.Close())
}

// TestWhatTimedOutIsNeverDone: whoever was told so may have had it written elsewhere, and more upon it.
func TestWhatTimedOutIsNeverDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(t.TempDir(), "gw1", Named(regions...), newWall().now, slog.New(slog.DiscardHandler))
		must(t, err)
		free, ended := make(chan struct{}), make(chan error)
		go func() { ended <- l.submit(func(*tx) error { <-free; return errUnchanged }) }()
		synctest.Wait()
		_, err = l.Push(tag("v1"), Content{Digest: digest(1), MediaType: mediaType, Size: 1}, "east", Request{})
		wantError(t, err, ErrUnavailable)
		wantError(t, <-ended, ErrUnavailable)
		before := time.Now()
		_, err = l.Push(tag("v1"), Content{Digest: digest(1), MediaType: mediaType, Size: 1}, "east", Request{})
		if wantError(t, err, ErrUnavailable); time.Since(before) != hungPatience {
			t.Errorf("waited %v for a disk that does not answer", time.Since(before))
		}
		close(free)
		synctest.Wait()
		if _, known, err := l.Get(tag("v1")); err != nil || known {
			t.Errorf("written after all: %v, %v", known, err)
		}
		must(t, l.Close())
	})
}

func TestWhatBboltPanicsAboutIsAnError(t *testing.T) {
	l, err := attempt(t.TempDir(), "gw1", nil, newWall().now)
	must(t, err)
	push(t, l, tag("v1"), digest(1), "east")
	wantError(t, l.submit(func(*tx) error { panic("page 7: neither branch nor leaf") }), ErrUnavailable)
	_, err = l.Push(tag("v1"), Content{Digest: digest(1)}, "east", Request{})
	wantError(t, err, ErrUnavailable)
	_, _, err = l.Get(tag("v1"))
	wantError(t, err, ErrUnavailable)
	must(t, l.Close())
	_ = l.db.Close() // the lock, which only the end of the process frees otherwise
	l, err = attempt(l.path[:len(l.path)-len(fileName)], "gw1", nil, newWall().now)
	must(t, err)
	defer l.Close()
	if get(t, l, tag("v1")).Name == "" {
		t.Error("an intact file was lost")
	}
}

func TestAFailedFlushChangesNothing(t *testing.T) {
	l, _ := one(t)
	release := block(t, l)
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := l.Push(tag("v1"), Content{Digest: digest(1)}, "east", Request{}); err != nil {
			wantError(t, err, ErrUnavailable) // shared the flush
			if get(t, l, tag("v1")).Name != "" {
				t.Error("written all the same")
			}
		}
	})
	all.Go(func() { wantError(t, l.submit(func(*tx) error { return errors.New("no") }), ErrUnavailable) })
	release()
	all.Wait()
	push(t, l, tag("v2"), digest(2), "east")
	checkIntegrity(t, l)
}
