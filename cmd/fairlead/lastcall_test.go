package main

import (
	"errors"
	"net"
	"testing"

	"github.com/fairlead-gateway/fairlead/proxy"
)

func TestLastCall(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lastCall{Listener: proxy.Listener(inner, nil), socket: inner.(*net.TCPListener)}
	// Connected by the kernel, and not accepted yet.
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatalf("left at the door: %v", err)
	}
	conn.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("still open")
	}
}
