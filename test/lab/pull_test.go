package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

func TestJudgePulled(t *testing.T) {
	i, err := newImage(t.TempDir(), "app", []int{100, 200})
	if err != nil {
		t.Fatal(err)
	}
	packed := func(n int) []byte {
		content, err := os.ReadFile(filepath.Join(i.dir, i.forms[n][1].path()))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	flipped := bytes.Clone(i.files[1])
	flipped[50] ^= 1
	for _, c := range []struct {
		name   string
		pulled error
		struck bool
		files  map[string][]byte
		want   string
	}{
		{"unpacked", nil, true, map[string][]byte{"0": i.files[0], "1": i.files[1]}, ok},
		{"one of them packed", nil, true, map[string][]byte{"0": i.files[0], "1": packed(1)}, ok},
		{"nothing happened on the way", nil, false, map[string][]byte{"0": packed(0), "1": packed(1)}, unharmed},
		{"one is not there", nil, true, map[string][]byte{"0": i.files[0]}, damaged},
		{"one is too short", nil, true, map[string][]byte{"0": i.files[0], "1": i.files[1][:150]}, damaged},
		{"a bit of one is flipped", nil, true, map[string][]byte{"0": i.files[0], "1": flipped}, damaged},
		{"one is only where the lab keeps it", nil, true,
			map[string][]byte{"0": i.files[0], cellPrefix + "1/1": i.files[1]}, damaged},
		{"the client says no", errors.New("EOF"), true, nil, failed},
		{"the client was killed", errHung, true, nil, hung},
	} {
		dir := t.TempDir()
		for name, content := range c.files {
			file := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, content, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := judgePulled(dir, i, c.pulled, c.struck); err != nil || got.outcome != c.want {
			t.Errorf("%s: %v, not %s: %v", c.name, got, c.want, err)
		}
	}
}

// sending is a replica that sends so many bytes to whoever connects.
func sending(t *testing.T, size int) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(make([]byte, size))
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestLink(t *testing.T) {
	const size, after = 1 << 20, 12345
	for _, c := range []struct {
		name   string
		strike func(*link)
		first  int // bytes of the connection to which it happens
		second int // of one after it
	}{
		{"nothing", func(*link) {}, size, size},
		{"cut", pullModes["pull-cut"](1), after, size},
		{"cut, and nothing is new", pullModes["pull-cut"](3), after, 0},
	} {
		var strikes atomic.Int32
		l := &link{open: map[*net.TCPConn]bool{}, fault: &fault{after: after, strike: func(l *link) {
			strikes.Add(1)
			c.strike(l)
		}}}
		front, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := front.Addr().String()
		_ = front.Close()
		stop, err := l.listen(context.Background(), address, sending(t, size))
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range []int{c.first, c.second} {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			content, _ := io.ReadAll(conn) // a connection that is cut off is what is tried
			_ = conn.Close()
			if len(content) != want {
				t.Errorf("%s: %d bytes of connection %d, not %d", c.name, len(content), n, want)
			}
		}
		stop()
		if got := l.sent.Load(); got != int64(c.first+c.second) || strikes.Load() != 1 {
			t.Errorf("%s: %d bytes counted, and %d faults", c.name, got, strikes.Load())
		}
	}
}

func TestStrikeAt(t *testing.T) {
	kill, slow := cell{Client: "crane", Mode: "pull-kill"}, cell{Client: "crane", Mode: "pull-slow"}
	first, again, next, other := strikeAt(kill, 1, 1<<20), strikeAt(kill, 1, 1<<20), strikeAt(kill, 2, 1<<20),
		strikeAt(slow, 1, 1<<20)
	if first != again || first == next || first == other {
		t.Errorf("a byte belongs to a client, a fault and a round: %v %v %v %v", first, again, next, other)
	}
}
