package manifest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var once Once[int]
		var calls atomic.Int32
		hold, failure := make(chan struct{}), errors.New("failure")
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				got, err := once.Do(t.Context(), "a", func() (int, error) { calls.Add(1); <-hold; return 7, nil })
				if got != 7 || err != nil {
					t.Error(got, err)
				}
			})
		}
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := once.Do(gone, "a", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("who does not wait gets %v", err)
		}
		if got := once.Succeeded(); got != nil {
			t.Errorf("before it is done: %q", got)
		}
		close(hold)
		group.Wait()
		for range 2 {
			_, err := once.Do(t.Context(), "b", func() (int, error) { calls.Add(1); return 0, failure })
			if err != failure {
				t.Error(err)
			}
		}
		if calls.Load() != 2 || !slices.Equal(once.Succeeded(), []string{"a"}) {
			t.Errorf("%d calls, %q", calls.Load(), once.Succeeded())
		}
	})
}

// TestOnceAnew: what was cut short with who began it is done anew for who still waits.
func TestOnceAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var once Once[string]
		first, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			_, err := once.Do(first, "a", func() (string, error) { <-first.Done(); return "", first.Err() })
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			got, err := once.Do(t.Context(), "a", func() (string, error) { return "anew", nil })
			if got != "anew" || err != nil {
				t.Error(got, err)
			}
		})
		synctest.Wait()
		cancel()
		group.Wait()
	})
}
