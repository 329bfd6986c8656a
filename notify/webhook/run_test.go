package webhook

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

var discard = log.New(io.Discard, "", 0)

func (s *site) create(t *testing.T, subs ...subscription.Subscription) {
	t.Helper()
	for _, sub := range subs {
		if _, err := s.Create(sub); err != nil {
			t.Fatal(err)
		}
	}
}

func named(name, uri string) subscription.Subscription {
	s := receiver(uri)
	s.Name = name
	return s
}

// bubble runs a test whose clock moves only when all wait. Between it and the disk nothing waits.
func bubble(t *testing.T, o setup, transport wire, test func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := openSite(t, o)
		s.transport = transport
		stop := s.run(t)
		test(t, s)
		stop()
		s.Close()
	})
}

// TestSlowReceiver: one that does not answer takes its ten seconds, again and again, and nobody else waits for it.
func TestSlowReceiver(t *testing.T) {
	var quick inbox
	var slow atomic.Int32
	network := wire(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "quick" {
			quick.take(r)
			return status(200), nil
		}
		if slow.Add(1) > 12 {
			return status(200), nil
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	o := setup{inFile: []subscription.Subscription{named("slowhook", "http://slow"),
		named("quickhook", "http://quick")}}
	bubble(t, o, network, func(t *testing.T, s *site) {
		begin := time.Now()
		for i := range 20 {
			s.publish(t, fmt.Sprint("e", i))
		}
		synctest.Wait()
		if n := len(quick.ids()); n != 20 || time.Since(begin) != 0 {
			t.Errorf("%d of 20 after %v", n, time.Since(begin))
		}
		time.Sleep(attemptTimeout + time.Millisecond)
		synctest.Wait()
		if n := s.attemptsThat(resultTimeout); n != maxInFlight {
			t.Errorf("%v timeouts", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := s.endedAs(Delivered); n != 40 {
			t.Errorf("%v of 40 delivered", n)
		}
	})
}

// TestInFlight: one receiver gets maxInFlight at once, and what fails does not hold up what comes after it.
func TestInFlight(t *testing.T) {
	var now, most atomic.Int32
	network := wire(func(r *http.Request) (*http.Response, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		time.Sleep(time.Second)
		return status(200), nil
	})
	bubble(t, setup{inFile: []subscription.Subscription{receiver("http://a")}}, network, func(t *testing.T, s *site) {
		for i := range 21 {
			s.publish(t, fmt.Sprint("e", i))
		}
		time.Sleep(6*time.Second + time.Millisecond)
		synctest.Wait()
		if s.endedAs(Delivered) != 21 || most.Load() != maxInFlight {
			t.Errorf("%v delivered, %d at once", s.endedAs(Delivered), most.Load())
		}
	})
}

// TestDead: an event that is never taken is tried maxAttempts times with one id, within a day, and then listed as
// dead. What comes after it does not wait.
func TestDead(t *testing.T) {
	var box inbox
	network := wire(func(r *http.Request) (*http.Response, error) {
		box.take(r)
		if r.Header.Get(headerDelivery) == "e1" {
			return nil, errors.New("no route")
		}
		return status(200), nil
	})
	bubble(t, setup{inFile: []subscription.Subscription{receiver("http://a")}}, network, func(t *testing.T, s *site) {
		s.publish(t, "e1", "e2")
		synctest.Wait()
		if got := s.states(t, "hook1"); got != "e1 pending 1, e2 delivered 1" {
			t.Error(got)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if got := s.states(t, "hook1"); got != fmt.Sprintf("e1 dead %d, e2 delivered 1", maxAttempts) {
			t.Error(got)
		}
		if got := box.ids(); got["e1"] != maxAttempts || got["e2"] != 1 {
			t.Errorf("%v", got)
		}
		if d := s.events(t, "hook1")[0]; d.Error != "no route" || !d.Next.IsZero() || s.endedAs(Dead) != 1 {
			t.Errorf("%+v", d)
		}
	})
}

// TestOrder: to a receiver that answers, attempts begin in the order of publication.
func TestOrder(t *testing.T) {
	var box inbox
	network := wire(func(r *http.Request) (*http.Response, error) {
		box.take(r)
		return status(200), nil
	})
	bubble(t, setup{inFile: []subscription.Subscription{receiver("http://a")}}, network, func(t *testing.T, s *site) {
		for i := range 20 {
			s.publish(t, fmt.Sprint("e", i))
			synctest.Wait()
		}
		for i, r := range box.all() {
			if r.id != fmt.Sprint("e", i) {
				t.Errorf("at %d came %s", i, r.id)
			}
		}
	})
}

// TestDisabled: what is queued waits, what happens is not queued, and a ping is refused.
func TestDisabled(t *testing.T) {
	on, off := subscription.Enabled, subscription.Disabled
	taking := false
	var box inbox
	network := wire(func(r *http.Request) (*http.Response, error) {
		if !taking {
			return status(503), nil
		}
		box.take(r)
		return status(200), nil
	})
	bubble(t, setup{}, network, func(t *testing.T, s *site) {
		s.create(t, receiver("http://a"))
		s.publish(t, "e1")
		synctest.Wait()
		s.Update("hook1", Change{Status: &off})
		taking = true
		s.publish(t, "e2")
		if _, err := s.Ping("hook1"); !errors.Is(err, ErrDisabled) {
			t.Error(err)
		}
		time.Sleep(48 * time.Hour)
		if got := s.states(t, "hook1"); got != "e1 pending 1" {
			t.Error(got)
		}
		s.Update("hook1", Change{Status: &on})
		synctest.Wait()
		if got := s.states(t, "hook1"); got != "e1 delivered 2" {
			t.Error(got)
		}
	})
}

// TestDeletedUnderWay: what is under way when its webhook is deleted, and made anew, comes back to neither.
func TestDeletedUnderWay(t *testing.T) {
	gate := make(chan struct{})
	network := wire(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get(headerDelivery) == "e1" {
			select {
			case <-gate:
			case <-r.Context().Done():
			}
		}
		return status(500), nil
	})
	synctest.Test(t, func(t *testing.T) {
		gate = make(chan struct{})
		s := openSite(t, setup{})
		s.transport = network
		stop := s.run(t)
		s.create(t, receiver("http://a"))
		s.publish(t, "e1")
		synctest.Wait()
		if err := s.Delete("hook1"); err != nil {
			t.Error(err)
		}
		s.create(t, receiver("http://a"))
		s.publish(t, "e2")
		close(gate)
		synctest.Wait()
		if got := s.states(t, "hook1"); got != "e2 pending 1" {
			t.Error(got)
		}
		stop()
		s.Close()
	})
}

// TestUnkept: what cannot be noted as delivered is not sent again by this process.
func TestUnkept(t *testing.T) {
	var box inbox
	synctest.Test(t, func(t *testing.T) {
		s := openSite(t, setup{inFile: []subscription.Subscription{receiver("http://a")}})
		s.transport = wire(func(r *http.Request) (*http.Response, error) {
			box.take(r)
			return status(200), nil
		})
		s.publish(t, "e1")
		path := s.store.db.Path()
		s.store.db.Close()
		s.store.db, _ = bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
		stop := s.run(t)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(box.all()); n != 1 {
			t.Errorf("sent %d times", n)
		}
		stop()
		s.Close()
	})
}

// TestStopBreaksOff: a stop does not wait for a receiver, but for what is under way to end; that counts as no attempt.
func TestStopBreaksOff(t *testing.T) {
	var ended atomic.Bool
	synctest.Test(t, func(t *testing.T) {
		s := openSite(t, setup{inFile: []subscription.Subscription{receiver("http://a")}})
		s.transport = wire(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			time.Sleep(time.Second)
			ended.Store(true)
			return nil, r.Context().Err()
		})
		stop := s.run(t)
		s.publish(t, "e1")
		synctest.Wait()
		begin := time.Now()
		stop()
		if !ended.Load() || time.Since(begin) != time.Second || s.states(t, "hook1") != "e1 pending 0" {
			t.Errorf("%s after %v", s.states(t, "hook1"), time.Since(begin))
		}
		s.Close()
	})
}

// TestClockSetBack: nothing waits longer than the longest wait because the clock was wrong once.
func TestClockSetBack(t *testing.T) {
	bubble(t, setup{inFile: []subscription.Subscription{receiver("http://a")}},
		func(*http.Request) (*http.Response, error) { return status(200), nil }, func(t *testing.T, s *site) {
			s.mu.Lock()
			s.ahead = -365 * 24 * time.Hour
			s.mu.Unlock()
			synctest.Wait()
			if err := s.store.db.Update(func(tx *bolt.Tx) error {
				q := queueOf(tx, "hook1")
				return q.add(1, Delivery{ID: "e1", State: Pending, Next: time.Now(),
					Request: RequestMessage{Content: []byte("{}")}})
			}); err != nil {
				t.Error(err)
			}
			s.wakeRun()
			synctest.Wait()
			if got := s.states(t, "hook1"); got != "e1 delivered 1" {
				t.Error(got)
			}
		})
}

// TestManyAtOnce: everything at once, under the race detector.
func TestManyAtOnce(t *testing.T) {
	box, url := listen(t, fine)
	s := openSite(t, setup{inFile: []subscription.Subscription{receiver(url)}})
	s.run(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			name := fmt.Sprint("other", i)
			for j := range 10 {
				s.publish(t, fmt.Sprintf("e%d-%d", i, j))
				s.Create(named(name, url))
				s.Ping(name)
				s.ListEvents(name)
				s.List()
				s.Delete(name)
			}
		})
	}
	all.Wait()
	poll(t, "all delivered", func() bool {
		list := s.events(t, "hook1")
		return len(list) == 80 && list[0].State == Delivered
	})
	for i := range 8 {
		for j := range 10 {
			if box.ids()[fmt.Sprintf("e%d-%d", i, j)] == 0 {
				t.Errorf("e%d-%d is lost", i, j)
			}
		}
	}
}
