package upstream

import (
	"context"
	"errors"
	"net"
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
				var s *signs
				script := func(context.Context, string, string) (net.Conn, error) {
					time.Sleep(time.Second)
					if test.answered {
						s.tell(time.Now())
					}
					time.Sleep(time.Second)
					tries++
					return nil, test.come[tries-1]
				}
				e := Endpoint{Name: "west", URL: &url.URL{Scheme: "http", Host: "west"}}
				s = newSigns(script, e, 30*time.Second, func(string, time.Time) {})
				_, err := s.dial(t.Context(), "tcp", test.address)
				if tries != test.tries || !errors.Is(err, test.err) {
					t.Errorf("%d tries, %v; want %d, %v", tries, err, test.tries, test.err)
				}
			})
		})
	}
}
