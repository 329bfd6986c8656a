package splice

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

// both ends of a connection.
func both(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

func onLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux moves bytes between sockets")
	}
}

func TestMoves(t *testing.T) {
	onLinux(t)
	client, in := both(t)
	out, server := both(t)
	pool := NewPool(1)
	defer pool.Close()
	pipe, err := pool.Get()
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789"), 300_000)
	go func() { _, _ = client.Write(sent); client.Close() }()
	got := make(chan []byte)
	go func() { all, _ := io.ReadAll(server); got <- all }()
	for {
		n, err := pipe.Fill(in, 1<<30, func() {})
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = pipe.Drain(out)
		}
		if err != nil || n == 0 || n > Size {
			t.Fatal(n, err)
		}
	}
	out.Close()
	if all := <-got; !bytes.Equal(all, sent) {
		t.Errorf("%d of %d bytes arrived, or others", len(all), len(sent))
	}
	pool.Put(pipe)
}

func TestDeadlines(t *testing.T) {
	onLinux(t)
	client, in := both(t)
	out, _ := both(t)
	pool := NewPool(1)
	pipe, err := pool.Get()
	if err != nil {
		t.Fatal(err)
	}
	_ = in.SetReadDeadline(time.Unix(1, 0))
	if _, err := pipe.Fill(in, 1, func() {}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read gave %v", err)
	}
	_ = in.SetReadDeadline(time.Time{})
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := pipe.Fill(in, 10, func() {}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	_ = out.SetWriteDeadline(time.Unix(1, 0))
	if err := pipe.Drain(out); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write gave %v", err)
	}
	pool.Put(pipe)
	if len(pool.kept) != 0 {
		t.Error("a pipe that holds bytes is kept")
	}
}

func TestPoolIsBounded(t *testing.T) {
	onLinux(t)
	pool := NewPool(2)
	defer pool.Close()
	first, err := pool.Get()
	second, err2 := pool.Get()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Get(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a third pipe: %v", err)
	}
	pool.Put(first)
	if again, err := pool.Get(); again != first || err != nil {
		t.Errorf("after one was given back: %v", err)
	}
	pool.Put(second)
	if _, err := new(Pool).Get(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("no pool: %v", err)
	}
}
