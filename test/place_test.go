package test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/test/machines"
)

// Where an address is, decides where a program that has it runs and from where it is called: on this machine, or on
// one that a test has made.

// made are the networks of machines that exist.
var made struct {
	mu       sync.Mutex
	networks []*machines.Network // Guarded by mu.
}

// newMachines makes machines that end with the test.
func newMachines(t testing.TB, count int) *machines.Network {
	t.Helper()
	if err := machines.Available(); err != nil {
		if inCI() {
			t.Fatalf("%v: run test/install-clients.sh as root", err)
		}
		t.Skipf("SKIPPED: %v", err)
	}
	n, err := machines.New(count)
	must(t, err)
	made.mu.Lock()
	defer made.mu.Unlock()
	made.networks = append(made.networks, n)
	t.Cleanup(func() {
		made.mu.Lock()
		made.networks = slices.DeleteFunc(made.networks, func(other *machines.Network) bool { return other == n })
		made.mu.Unlock()
		plain.CloseIdleConnections()
		must(t, n.Close())
	})
	return n
}

// place is a machine; the zero place is this one.
type place struct {
	network *machines.Network
	machine int
}

// placeOf takes IP, IP:PORT or IP/BITS.
func placeOf(address string) place {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return place{}
	}
	made.mu.Lock()
	defer made.mu.Unlock()
	for _, n := range made.networks {
		if machine, ok := n.Machine(ip); ok {
			return place{n, machine}
		}
	}
	return place{}
}

// command is what runs program there.
func (p place) command(program string, args ...string) (string, []string) {
	if p.network == nil {
		return program, args
	}
	return p.network.Command(p.machine, program, args...)
}

func (p place) do(f func() error) error {
	if p.network == nil {
		return f()
	}
	return p.network.On(p.machine, f)
}

// caller dials from where its own address is; one that has none is where it calls.
type caller struct{ net.Dialer }

// from dials from a client's own address.
func from(client string) caller {
	return caller{net.Dialer{Timeout: patient(10 * time.Second), LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}}
}

func (c caller) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	at := placeOf(address)
	if c.LocalAddr != nil {
		at = placeOf(c.LocalAddr.String())
	}
	err = at.do(func() (err error) { conn, err = c.Dialer.DialContext(ctx, network, address); return err })
	return conn, err
}

func TestPlaces(t *testing.T) {
	n := newMachines(t, 2)
	there := n.IP(1, 1).String()
	for address, want := range map[string]place{
		there: {n, 1}, net.JoinHostPort(there, "80"): {n, 1}, "127.0.0.1:80": {}, "": {}, "registry.example.test": {},
	} {
		if got := placeOf(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	err := place{n, 1}.do(func() error {
		l, err := net.Listen("tcp", net.JoinHostPort(there, "0"))
		if err == nil {
			l.Close()
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if l, err := net.Listen("tcp", net.JoinHostPort(there, "0")); err == nil {
		l.Close()
		t.Error("this machine has the other's address")
	}
}
