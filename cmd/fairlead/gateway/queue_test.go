package gateway

import (
	"net"
	"runtime"
	"testing"
)

func TestQueued(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("known on Linux alone")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for want := range 4 {
		if got := queued(l); got != want {
			t.Errorf("%d are queued, want %d", got, want)
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for want := 3; want >= 0; want-- {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := queued(l); got != want {
			t.Errorf("%d are queued, want %d", got, want)
		}
	}
}
