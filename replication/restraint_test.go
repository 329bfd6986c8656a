package replication

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestRefusal: a replica that lets nobody in is asked now and then, and gets all it lacks when it does.
func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeLedger()
		for n := range 500 {
			_ = b.Confirm(b.remove(fmt.Sprint("v", n), sum(nil), "a"), "c")
		}
		e := newInBubble(t, b)
		e.status.Store(http.StatusUnauthorized)
		e.Wake()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := e.asked.Load(); n < breakAfter || n > 400 {
			t.Errorf("asked %d times", n)
		}
		if n := len(e.Failures()); n < breakAfter || n > 100 {
			t.Errorf("%d failures", n)
		}
		e.status.Store(http.StatusAccepted)
		e.until(func([]Failure) bool { return b.pending("b") == 0 })
		if n := b.pending("b"); n != 0 {
			t.Errorf("%d left: %+v", n, e.Failures())
		}
	})
}

// counted is a ledger that counts how often it is listed.
type counted struct {
	*fakeLedger
	lists atomic.Int64
}

func (c *counted) Pending(replica string, after ledger.Cursor, limit int) ([]ledger.Entry, ledger.Cursor, error) {
	c.lists.Add(1)
	return c.fakeLedger.Pending(replica, after, limit)
}

// TestQuiet: what nothing can be done about is not listed every minute.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{fakeLedger: newFakeLedger()}
		c.push("v1", sum(nil), "gone") // nobody has it any more
		newInBubble(t, c)
		time.Sleep(time.Hour + time.Minute)
		if n := c.lists.Load(); n < 3 || n > 8 {
			t.Errorf("listed %d times", n)
		}
	})
}

// TestStaleSources: what has failed is tried again with the sources of the day.
func TestStaleSources(t *testing.T) {
	x := newRegion(t)
	mine := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&mine)
	digest := x.at["a"].image("v1", "layer")
	x.at["c"].image("v1", "layer")
	x.at["a"].breaks(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusNotFound); return true })
	x.push("v1", digest, "a")
	x.run()
	x.failed(1)
	_ = x.Confirm(x.last("v1"), "c")
	_ = x.Confirm(x.last(digest), "c")
	x.Retry(func(Failure) bool { return true })
	x.settled("b")
	if !x.at["b"].complete("v1") {
		t.Error("it is not complete")
	}
}

// TestTakenOver: of a replica that another gateway serves now, this one says nothing any more.
func TestTakenOver(t *testing.T) {
	x := newRegion(t)
	mine := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&mine)
	x.at["b"].breaks(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	x.push("v1", x.at["a"].image("v1", "layer"), "a")
	x.run()
	x.failed(1)
	if testutil.CollectAndCount(x.metrics.pending) != 1 || testutil.CollectAndCount(x.metrics.givenUp) != 1 {
		t.Error("no gauges")
	}
	others := three(func(f *Fleet) { f.Assigned = nil })
	x.fleet.Store(&others)
	x.Wake()
	x.failed(0)
	x.eventually(func() bool {
		return testutil.CollectAndCount(x.metrics.pending) == 0 && testutil.CollectAndCount(x.metrics.givenUp) == 0
	})
	x.at["b"].breaks(nil)
	x.fleet.Store(&mine)
	x.Wake()
	x.settled("b")
}
