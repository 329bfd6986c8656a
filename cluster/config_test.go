package cluster

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
)

func TestListenWithoutAHost(t *testing.T) {
	kernel := func(call string, number syscall.Errno) error { // as package net says it
		return &net.OpError{Op: "listen", Net: "udp", Err: os.NewSyscallError(call, number)}
	}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"both families", nil, "::"},
		{"no IPv6 in the kernel", kernel("socket", syscall.EAFNOSUPPORT), "0.0.0.0"},
		{"no IPv6 address", kernel("bind", syscall.EADDRNOTAVAIL), "0.0.0.0"},
		{"something else: it is to be said when the port is opened", kernel("socket", syscall.EMFILE), "::"},
	} {
		var asked netip.AddrPort
		got := unspecified(func(at netip.AddrPort) error { asked = at; return test.err })
		if got.String() != test.want || asked.String() != "[::]:0" {
			t.Errorf("%s: %s, want %s; tried %s", test.name, got, test.want, asked)
		}
	}
}

// The address found is what is listened on, by TCP and UDP on one port.
func TestListenOnAllAddresses(t *testing.T) {
	for _, host := range []string{"", "0.0.0.0"} {
		listen, port, err := Config{Listen: host + ":0"}.listen()
		if err != nil {
			t.Fatal(err)
		}
		if want := netip.MustParseAddr("0.0.0.0"); host != "" && listen != want || !listen.IsUnspecified() {
			t.Errorf("host %q: listens on %s", host, listen)
		}
		tr, err := newTransport(listen, port, debugWriter{slog.New(slog.DiscardHandler), &misfits{}})
		if err != nil {
			t.Fatal(err)
		}
		at := netip.AddrPortFrom(listen, uint16(tr.GetAutoBindPort()))
		if err := listenUDP(at); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("UDP %s is not taken: %v", at, err)
		}
		if l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)); err == nil {
			l.Close()
			t.Errorf("TCP %s is not taken", at)
		}
		if err := tr.Shutdown(); err != nil {
			t.Error(err)
		}
	}
}
