package health

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// answering gives signs of life all the time, from now on.
func (w *world) answering(m *Monitor, d time.Duration) {
	for range d / (100 * time.Millisecond) {
		sleep(100 * time.Millisecond)
		m.Alive("west", time.Now())
	}
}

// A registry may be too busy for /v2/, or have lost just that: who is answered gains nothing from being sent elsewhere.
func TestLateWhileRequestsAreAnswered(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.start()
		sleep(time.Second)
		w.set(west, errHanging)
		before := upstream(m, "west")
		for range 360 {
			m.Trouble("west") // some are not answered
			w.answering(m, 10*time.Second)
		}
		if got := upstream(m, "west"); got != before {
			t.Errorf("got %+v, want %+v", got, before)
		}
		got := m.Status()[0]
		if !got.Up || got.Result != "late, while requests were answered" || !got.Since.Equal(w.began) {
			t.Errorf("got %+v", got)
		}
		for result, want := range map[outcome]bool{alive: true, late: true, timeout: false} {
			count := testutil.ToFloat64(m.metrics.probes.WithLabelValues("west", "upstream", string(result)))
			if counted := count > 0; counted != want {
				t.Errorf("%v probes were %s", count, result)
			}
		}
	})
}

// Each row: how probes end, and what signs of life come meanwhile. It must be down in the same time as without any.
func TestSignsOfLifeHideNoDeath(t *testing.T) {
	alive := func(m *Monitor) { m.Alive("west", time.Now()) }
	for _, test := range []struct {
		name  string
		finds error
		down  time.Duration // after the probe at 5 s began
		sign  func(m *Monitor)
	}{
		{"refused, while old connections go on", errTestFails, 4 * time.Second, alive},
		{"hangs, or nothing gets there any more", errHanging, 10 * time.Second, func(*Monitor) {}},
		{"hangs, and what came before is still read", errHanging, 10 * time.Second, func(m *Monitor) {
			m.Alive("west", time.Now().Add(-3*time.Second))
		}},
		{"hangs, and another one is answered", errHanging, 10 * time.Second, func(m *Monitor) {
			m.Alive("east", time.Now())
			m.Alive("nowhere", time.Now())
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, []Target{west, {Replica: "east", URL: "http://east/v2/"}}, func(w *world, m *Monitor) {
				w.start()
				sleep(time.Second)
				m.Alive("west", time.Now())
				w.set(west, test.finds)
				for at := time.Second; at < 5*time.Second+test.down; at += 100 * time.Millisecond {
					if !upstream(m, "west").Up {
						t.Fatalf("down %v after the first probe that fails began", at-5*time.Second)
					}
					test.sign(m)
					sleep(100 * time.Millisecond)
				}
				if upstream(m, "west").Up {
					t.Errorf("up %v after the first probe that fails began", test.down)
				}
			})
		})
	}
}

// It is judged by the first probe that began after it gave its last sign of life.
func TestHangsAfterItWasBusy(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.set(west, errHanging)
		w.start()
		w.answering(m, 20100*time.Millisecond) // into the probe that began last
		sleep(15 * time.Second)
		if upstream(m, "west").Up {
			t.Errorf("up 15 s after the last sign of life; probes began at %v", w.starts(west))
		}
	})
}

func TestReadyWhileAllIsLate(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.set(west, errHanging)
		w.start()
		w.answering(m, 2500*time.Millisecond)
		if !isClosed(m.Ready()) {
			t.Error("not ready, and it has been probed")
		}
		w.answering(m, 2*time.Second) // it is late again
		if got := m.Status()[0]; !got.Up || got.Known || !got.Since.Equal(w.began.Add(2*time.Second)) {
			t.Errorf("got %+v; want up since the first result, and not known", got)
		}
		sleep(time.Minute) // must not be closed twice
	})
}

func TestDownThroughLateProbes(t *testing.T) {
	bubble(t, []Target{west}, func(w *world, m *Monitor) {
		w.set(west, errTestFails)
		w.start()
		sleep(time.Second)
		w.set(west, errHanging)
		w.answering(m, time.Minute) // it was asked since nobody else is up
		if got := upstream(m, "west"); got.Up || got.ChangeIn != 0 {
			t.Errorf("%+v: nothing has brought it back", got)
		}
	})
}

// All ways not to answer in time are alike: a machine that is busy enough is late with a connection, too.
func TestWhatIsLate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel connects, and nobody comes for it
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	for name, url := range map[string]string{
		"hangs": "http://" + address, "hangs in its handshake": "https://" + address, "takes no connection": full(t),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), brief)
			defer cancel()
			began := time.Now()
			err := get(ctx, Target{URL: url})
			if got, text := outcomeOf(err, began, began.Add(time.Millisecond)); got != late {
				t.Errorf("while requests are answered: %s, %q; want %s", got, text, late)
			}
			if got, text := outcomeOf(err, began, began); got != timeout || text != "timeout" {
				t.Errorf("while none is: %s, %q; want %s", got, text, timeout)
			}
		})
	}
	began := time.Now()
	if got, text := outcomeOf(get(t.Context(), Target{URL: refusing(t)}), began, time.Now()); got != refused {
		t.Errorf("refused, while requests are answered: %s, %q", got, text)
	}
}

// full is a listener whose queue is full: it leaves who comes unanswered, as a host does that is gone.
func full(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for {
		conn, err := (&net.Dialer{Timeout: brief}).Dial("tcp", address.String())
		if os.IsTimeout(err) {
			return "http://" + address.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
}
