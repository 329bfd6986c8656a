package machines

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func newNetwork(t *testing.T, count int) *Network {
	t.Helper()
	if err := Available(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: %v", err)
	}
	n, err := New(count)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func TestMachines(t *testing.T) {
	n := newNetwork(t, 2)
	l, err := n.Listen(t.Context(), 1, "0.0.0.0:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go echo(l)
	say := func(from net.Dialer, bound time.Duration) (string, error) {
		ctx, stop := context.WithTimeout(t.Context(), bound)
		defer stop()
		conn, err := n.Dial(ctx, 0, from, "tcp", netip.AddrPortFrom(n.IP(1, 9), 7000).String())
		if err != nil {
			return "", err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(bound))
		_, _ = io.WriteString(conn, "hello")
		heard := make([]byte, 5)
		_, err = io.ReadFull(conn, heard)
		return string(heard) + conn.LocalAddr().String(), err
	}
	as := net.Dialer{LocalAddr: &net.TCPAddr{IP: n.IP(0, 7).AsSlice()}}
	if heard, err := say(as, time.Minute); err != nil || !strings.HasPrefix(heard, "hello"+n.IP(0, 7).String()+":") {
		t.Fatalf("%q, %v", heard, err)
	}
	n.Cut(1, 0)
	if heard, err := say(as, 2*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) &&
		!errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("through a cut wire: %q, %v", heard, err)
	}
	n.Heal()
	if heard, err := say(net.Dialer{}, time.Minute); err != nil || !strings.HasPrefix(heard,
		"hello"+n.IP(0, 1).String()+":") {
		t.Fatalf("after healing: %q, %v", heard, err)
	}
	program, args := n.Command(0, "ip", "-oneline", "address", "show", "dev", device)
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil ||
		!strings.Contains(string(out), n.IP(0, 1).String()) {
		t.Errorf("%s, %v", out, err)
	}
	if i, ok := n.Machine(n.IP(1, 200)); !ok || i != 1 {
		t.Error(i, ok)
	}
	if i, ok := n.Machine(netip.MustParseAddr("127.0.0.1")); ok {
		t.Error(i)
	}
}

// TestDelay: what was sent at once arrives no earlier than the wire is long.
func TestDelay(t *testing.T) {
	n := newNetwork(t, 2)
	const oneWay = 50 * time.Millisecond
	n.Delay(oneWay)
	l, err := n.Listen(t.Context(), 1, "0.0.0.0:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	began := time.Now()
	conn, err := n.Dial(t.Context(), 0, net.Dialer{Timeout: time.Minute}, "tcp",
		netip.AddrPortFrom(n.IP(1, 1), 7000).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if took := time.Since(began); took < 2*oneWay {
		t.Errorf("a handshake took %v", took)
	}
}

func echo(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
	}
}

func TestDestination(t *testing.T) {
	good := make([]byte, 20)
	good[0], good[16], good[17], good[18], good[19] = 0x45, 10, 1, 2, 3
	if to, ok := destination(good); !ok || to != 2 {
		t.Error(to, ok)
	}
	for _, bad := range [][]byte{nil, good[:19], append([]byte{0x60}, good[1:]...)} {
		if _, ok := destination(bad); ok {
			t.Errorf("% x", bad)
		}
	}
}
