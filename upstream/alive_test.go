package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDialling(t *testing.T) {
	late, refused := os.ErrDeadlineExceeded, syscall.ECONNREFUSED
	lateFor := func(n int) []error { return slices.Repeat([]error{late}, n) }
	for _, test := range []struct {
		name     string
		address  string
		come     []error // of each try, which takes 2 s; nil is a connection
		answered bool    // others are, in each second
		tries    int
		err      error
	}{
		{"at once", "west:80", []error{nil}, false, 1, nil},
		{"late, while others are answered", "west:80", []error{late, late, nil}, true, 3, nil},
		{"late, and nobody is answered", "west:80", lateFor(2), false, 1, late},
		{"refused, while others are answered", "west:80", []error{late, refused, nil}, true, 2, refused},
		{"late for as long as a request may wait", "west:80", lateFor(99), true, 15, late},
		{"an object store", "store:80", lateFor(2), true, 1, late},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				var o *observing
				script := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					time.Sleep(time.Second)
					if test.answered {
						o.tell(time.Now())
					}
					time.Sleep(time.Second)
					tries++
					return nil, test.come[tries-1]
				}}
				e := Endpoint{Name: "west", URL: &url.URL{Scheme: "http", Host: "west"}}
				o = newObserving(newResending(script, time.Second), e, 30*time.Second, func(string, time.Time) {})
				_, err := o.pool.DialContext(t.Context(), "tcp", test.address)
				if tries != test.tries || !errors.Is(err, test.err) {
					t.Errorf("%d tries, %v; want %d, %v", tries, err, test.tries, test.err)
				}
			})
		})
	}
}

// script is a connection on which so much comes at such times. The last of it comes with io.EOF.
type script struct {
	net.Conn
	began time.Time
	come  []coming
}

type coming struct {
	at    time.Duration
	bytes int
}

// Read waits for what comes next, and takes as much as there is.
func (s *script) Read(p []byte) (n int, err error) {
	if len(s.come) == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Until(s.began.Add(s.come[0].at)))
	for n < len(p) && len(s.come) > 0 && time.Since(s.began) >= s.come[0].at {
		take := min(len(p)-n, s.come[0].bytes)
		n += take
		if s.come[0].bytes -= take; s.come[0].bytes == 0 {
			s.come = s.come[1:]
		}
	}
	return n, nil
}

func TestLineKnowsWhatIsNew(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name  string
		come  []coming
		every time.Duration   // the reader takes 10 bytes that often
		want  []time.Duration // after each read, since when what it read has come at the earliest
	}{
		{"the reader waits", []coming{{s, 3}, {2 * s, 10}, {4 * s, 3}, {5 * s, 3}}, 0, []time.Duration{0, s, s, 4 * s}},
		{"the reader is slow", []coming{{0, 40}}, 60 * s, []time.Duration{0, 0, 0, 0}},
		{"it catches up", []coming{{0, 15}, {90 * s, 5}, {95 * s, 5}}, 30 * s, []time.Duration{0, 0, 30 * s, 90 * s}},
		{"it falls behind", []coming{{1 * s, 5}, {2 * s, 40}}, 10 * s, []time.Duration{0, 1 * s, 1 * s, 1 * s}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				l := &timedConn{Conn: &script{began: began, come: slices.Clone(test.come)}, made: began}
				var got []time.Duration
				for range test.want {
					if _, err := l.Read(make([]byte, 10)); err != nil {
						t.Fatal(err)
					}
					got = append(got, l.cameAfter().Sub(began))
					time.Sleep(test.every)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("got %v, want %v", got, test.want)
				}
			})
		})
	}
}

// A replica that hangs with megabytes on their way to a slow client gives no sign of life by them.
func TestLineOfASlowClient(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := &timedConn{Conn: conn, made: time.Now()}
	replica, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer replica.Close()
	if _, err := replica.Write(make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	hangs := time.Now()
	for range 64 {
		if _, err := io.ReadFull(l, make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if l.cameAfter().After(hangs) {
		t.Error("what had come before is taken for new")
	}
}
