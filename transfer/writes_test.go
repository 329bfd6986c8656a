package transfer

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestWrites: several write at once and are cut short by who deletes, who is alone; nobody else's name waits.
func TestWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Writes
		blob := Name{Replica: "west", Repository: "app", Reference: "sha256:1", Blob: true}
		manifest := blob
		manifest.Blob = false
		write := func() (context.Context, func(error)) {
			t.Helper()
			cut, done, err := w.Write(t.Context(), blob)
			if err != nil {
				t.Fatal(err)
			}
			return cut, done
		}
		firstCut, first := write()
		secondCut, second := write()
		if !w.Writing(blob) || w.Writing(manifest) {
			t.Error(w.Writing(blob), w.Writing(manifest))
		}
		other, uncertain, err := w.Delete(t.Context(), manifest)
		if err != nil || uncertain {
			t.Fatal(uncertain, err)
		}
		other()
		deleted, over := make(chan struct{}), make(chan struct{})
		go func() {
			done, uncertain, err := w.Delete(context.Background(), blob)
			if err != nil || !uncertain || !w.Writing(blob) {
				t.Error(uncertain, err, w.Writing(blob))
			}
			close(deleted)
			<-over
			done()
		}()
		synctest.Wait()
		for _, cut := range []context.Context{firstCut, secondCut} {
			if context.Cause(cut) != ErrDeleted {
				t.Error(context.Cause(cut))
			}
		}
		first(&Error{Method: http.MethodPut})
		first(nil) // says nothing new
		synctest.Wait()
		select {
		case <-deleted:
			t.Error("deleted while it was written")
		default:
		}
		second(nil)
		<-deleted
		late := make(chan struct{})
		go func() {
			_, done := write()
			close(late)
			done(nil)
		}()
		synctest.Wait()
		select {
		case <-late:
			t.Error("written while it was deleted")
		default:
		}
		close(over)
		<-late
		synctest.Wait()
		ended, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		cancel(gone)
		_, third := write()
		if _, _, err := w.Delete(ended, blob); !errors.Is(err, gone) {
			t.Error(err)
		}
		third(nil)
		done, uncertain, err := w.Delete(t.Context(), blob)
		if err != nil || uncertain {
			t.Error(uncertain, err)
		}
		done()
		if len(w.of) != 0 {
			t.Error("remembered: ", len(w.of))
		}
	})
}

// TestHold: who deletes waits for a client who writes, and he for who deletes; neither he nor who writes in our own
// name waits for the other.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Writes
		n := Name{Replica: "west", Repository: "app", Reference: "v1"}
		cut, written, err := w.Write(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.Hold(t.Context(), n)
		if err != nil || cut.Err() != nil {
			t.Fatal(err, cut.Err())
		}
		written(nil)
		if w.Writing(n) {
			t.Error("taken for ours")
		}
		deleted, over := make(chan struct{}), make(chan struct{})
		go func() {
			done, _, err := w.Delete(context.Background(), n)
			if err != nil {
				t.Error(err)
			}
			close(deleted)
			<-over
			done()
		}()
		synctest.Wait()
		select {
		case <-deleted:
			t.Fatal("deleted while a client wrote it")
		default:
		}
		first()
		first() // says nothing new
		<-deleted
		ended, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		cancel(gone)
		if _, err := w.Hold(ended, n); !errors.Is(err, gone) {
			t.Error(err)
		}
		held := make(chan struct{})
		go func() {
			second, err := w.Hold(context.Background(), n)
			if err != nil {
				t.Error(err)
			}
			close(held)
			second()
		}()
		synctest.Wait()
		select {
		case <-held:
			t.Error("held while it was deleted")
		default:
		}
		close(over)
		<-held
		synctest.Wait()
		if len(w.of) != 0 {
			t.Error("remembered: ", len(w.of))
		}
	})
}

// TestUncertaintyLasts: that a write may yet come about is said to who deletes, once, also if he comes when nobody writes
// any more, but not for ever.
func TestUncertaintyLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Writes
		n := Name{Replica: "west", Repository: "app", Reference: "v1"}
		for _, c := range []struct {
			after time.Duration
			want  []bool
		}{{uncertainFor - time.Second, []bool{true, false}}, {uncertainFor + time.Second, []bool{false}}} {
			for range 2 {
				_, done, err := w.Write(t.Context(), n)
				if err != nil {
					t.Fatal(err)
				}
				done(&Error{Method: http.MethodPut})
			}
			time.Sleep(c.after)
			for i, want := range c.want {
				done, uncertain, err := w.Delete(t.Context(), n)
				if err != nil || uncertain != want {
					t.Errorf("after %v, %d: %v, %v", c.after, i, uncertain, err)
				}
				done()
			}
			if len(w.of)+w.kept != 0 {
				t.Error("remembered: ", len(w.of), w.kept)
			}
		}
		for i := range maxUncertain + 1 {
			_, done, err := w.Write(t.Context(), Name{Reference: strconv.Itoa(i)})
			if err != nil {
				t.Fatal(err)
			}
			done(&Error{Method: http.MethodPut})
		}
		if len(w.of) != maxUncertain {
			t.Error("remembered: ", len(w.of))
		}
	})
}
