package h1

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

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
				l := &line{Conn: &script{began: began, come: slices.Clone(test.come)}, made: began}
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
	l := &line{Conn: conn, made: time.Now()}
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
