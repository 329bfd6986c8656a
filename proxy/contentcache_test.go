package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestContentCacheIsBounded: whatever is put and taken, no more is held than there is room for, and what was touched
// last stays.
func TestContentCacheIsBounded(t *testing.T) {
	const most = 100_000
	c, now := newContentCache(most, time.Minute), time.Now()
	defer c.close()
	content := make([]byte, 9_000)
	for i := range 30 {
		c.put(fmt.Sprint(i), content, now)
		c.get("0", now)
	}
	if _, ok := c.get("0", now); !ok {
		t.Error("what was touched last is gone")
	}
	if _, ok := c.get("1", now); ok {
		t.Error("what was put first is there")
	}
	if c.kept > most || c.of.Len() < 9 {
		t.Errorf("%d bytes are kept, of %d contents", c.kept, c.of.Len())
	}
	if c.take(most + 1) {
		t.Error("more was taken than there is")
	}
	if c.of.Len() < 9 {
		t.Error("what found no room has pushed something out")
	}
	if !c.take(most-10_000) || c.kept > 10_000 {
		t.Errorf("of bodies under way, %d bytes are kept beside", c.kept)
	}
	c.put("large", make([]byte, 20_000), now)
	if _, ok := c.get("large", now); ok {
		t.Error("there was room where there is none")
	}
	c.give(most - 10_000)
	c.put("0", content[:1], now)
	c.put("0", content[:2], now)
	c.forget("0")
	for range c.of.Len() {
		c.of.RemoveOldest()
	}
	if c.kept != 0 || c.taken != 0 {
		t.Errorf("%d and %d bytes are held by nothing", c.kept, c.taken)
	}
}

// TestContentCacheForgets: what nobody touches is given back when a lease would have ended, also if nobody comes again.
func TestContentCacheForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContentCache(1<<20, time.Minute)
		defer c.close()
		kept := func() int {
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.of.Len()
		}
		c.put("a", make([]byte, 100), time.Now())
		time.Sleep(40 * time.Second)
		c.put("b", make([]byte, 100), time.Now())
		time.Sleep(30 * time.Second)
		if _, ok := c.get("a", time.Now()); ok || kept() != 1 {
			t.Errorf("after its life, %v, %d kept", ok, kept())
		}
		if _, ok := c.get("b", time.Now()); !ok {
			t.Error("too soon")
		}
		time.Sleep(31 * time.Second)
		if kept() != 1 {
			t.Error("what was touched is gone")
		}
		time.Sleep(time.Minute)
		if kept() != 0 || c.kept != 0 {
			t.Errorf("%d are kept for ever", kept())
		}
		c.put("c", make([]byte, 100), time.Now())
		time.Sleep(time.Minute)
		if kept() != 0 {
			t.Error("what came later is kept for ever")
		}
	})
}

// slowBody gives what it is told to, when it is told to.
type slowBody struct{ parts chan []byte }

func (b slowBody) Read(p []byte) (int, error) { return copy(p, <-b.parts), nil }
func (b slowBody) Close() error               { return nil }

// TestAReadOutlivesItsTurn: what a read brings that another turn has overtaken is that one's, even where there is no
// room for it. Nothing is lost, and nothing comes twice.
func TestAReadOutlivesItsTurn(t *testing.T) {
	for length, most := range map[int64]int64{8: 1 << 20, -1: 5} {
		synctest.Test(t, func(t *testing.T) {
			from := slowBody{make(chan []byte)}
			r := newRequest(t, from, length)
			x := &exchange{in: r, settings: &Settings{}, proxy: &Proxy{cache: newContentCache(most, time.Minute)}}
			b := &partBody{from: x.clientBody(), cache: x.proxy.cache}
			first, buffer := b.begin(), make([]byte, 10)
			go func() { from.parts <- []byte("abcd") }()
			if n, err := first.Read(buffer); n != 4 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			overtaken := make(chan string)
			go func() {
				n, _ := first.Read(buffer)
				overtaken <- string(buffer[:n])
			}()
			synctest.Wait() // it stands in the client's body
			second := b.begin()
			got := make(chan []byte)
			go func() {
				all := make([]byte, 0, 8)
				for len(all) < 8 {
					p := make([]byte, 3)
					n, err := second.Read(p)
					if err != nil {
						t.Errorf("after %q: %v", all, err)
						break
					}
					all = append(all, p[:n]...)
				}
				got <- all
			}()
			from.parts <- []byte("efgh")
			<-overtaken
			if all := <-got; !bytes.Equal(all, []byte("abcdefgh")) {
				t.Errorf("%q", all)
			}
			if _, err := first.Read(buffer); err != errGaveWay {
				t.Errorf("the first turn goes on: %v", err)
			}
			x.progress.phase.Store(int32(sending)) // as it was when the other replica was lost
			third := b.begin()
			if length < 0 {
				return
			}
			if _, err := io.ReadFull(third, make([]byte, 8)); err != nil {
				t.Error(err)
			}
			if phase := phase(x.progress.phase.Load()); phase != waiting {
				t.Errorf("all was sent again, and the phase is %v", phase)
			}
		})
	}
}

func newRequest(t *testing.T, body io.ReadCloser, length int64) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPatch, uploads+"1", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = length
	return r
}
