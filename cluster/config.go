package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultPort is a peer's port where none is given: memberlist's usual one.
const DefaultPort = 7946

// maxMembers bounds what is kept about members; more than a gateway in each region of every cloud.
const maxMembers = 256

// Config is how a member takes part.
type Config struct {
	Name      string   // unique among the members, at most 64 bytes
	Listen    string   // host:port, UDP and TCP; no host: all addresses, of IPv4 alone where there is no IPv6
	Advertise string   // the address, without a port, at which others reach us; empty: see advertise
	Keys      [][]byte // 16, 24 or 32 bytes each; the first encrypts, all decrypt; none: loopback alone
	Here      string   // the replica beside us; may be empty
	Hostname  string   // that the fleet serves, at most 253 bytes; members that serve another one are told
	Version   string   // of the program, for people
	Settings
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

func (c Config) check() error {
	switch {
	case !validName(c.Name):
		return fmt.Errorf("cluster name %q must be printable ASCII of 1 to %d bytes", c.Name, maxName)
	case c.Here != "" && !validName(c.Here):
		return fmt.Errorf("here %q must be printable ASCII of at most %d bytes", c.Here, maxName)
	case c.Idle <= 0:
		return errors.New("a cluster needs the idle time of leases")
	case len(c.Keys) == 0 && !c.onLoopback():
		return errors.New("a cluster beyond loopback needs a key")
	}
	return nil
}

// onLoopback reports whether all addresses are loopback. A name is not: what it resolves to can change.
func (c Config) onLoopback() bool {
	hosts := []string{hostOf(c.Listen)}
	if c.Advertise != "" {
		hosts = append(hosts, c.Advertise)
	}
	for _, p := range c.Peers {
		hosts = append(hosts, hostOf(p))
	}
	return !slices.ContainsFunc(hosts, func(h string) bool {
		addr, err := netip.ParseAddr(h)
		return err != nil || !addr.Unmap().IsLoopback()
	})
}

func hostOf(hostPort string) string {
	host, _ := splitPeer(hostPort)
	return host
}

// splitPeer takes host or host:port; an IPv6 address with a port stands in brackets.
func splitPeer(peer string) (host string, port uint16) {
	if h, p, err := net.SplitHostPort(peer); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err == nil {
			return h, uint16(n)
		}
	}
	return peer, DefaultPort
}

// listen splits the address to listen on.
func (c Config) listen() (netip.Addr, int, error) {
	host, portText, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("listen %q: %w", c.Listen, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("listen %q: bad port", c.Listen)
	}
	if host == "" {
		return unspecified(listenUDP), int(port), nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("listen %q: %w", c.Listen, err)
	}
	return addr.Unmap(), int(port), nil
}

// unspecified is all addresses of both families, or those of IPv4 where the kernel has no IPv6. It is found out
// beforehand, so that TCP and UDP get the same, and because memberlist's error no longer holds the kernel's.
func unspecified(listen func(netip.AddrPort) error) netip.Addr {
	err := listen(netip.AddrPortFrom(netip.IPv6Unspecified(), 0))
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func listenUDP(at netip.AddrPort) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	return conn.Close()
}

// advertise is the address that others are told: the configured one, else the one we listen on, else that of the
// interface towards the first peer. memberlist's own choice would refuse a machine without a private
// address.
func (c Config) advertise(listen netip.Addr) (netip.Addr, error) {
	if c.Advertise != "" {
		addr, err := netip.ParseAddr(c.Advertise)
		if err != nil {
			return addr, fmt.Errorf("advertise: %w", err)
		}
		return addr.Unmap(), nil
	}
	if !listen.IsUnspecified() {
		return listen, nil
	}
	for _, p := range c.Peers {
		if addr, ok := towards(p); ok {
			return addr, nil
		}
	}
	return anyAddress()
}

// towards is the address the kernel would send from to reach peer. Connecting a UDP socket sends nothing.
func towards(peer string) (netip.Addr, bool) {
	host, port := splitPeer(peer)
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return netip.Addr{}, false
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), true
}

func anyAddress() (netip.Addr, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("advertise: %w", err)
	}
	for _, a := range addresses {
		if ipNet, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(ipNet.IP); ok && addr.Unmap().IsGlobalUnicast() {
				return addr.Unmap(), nil
			}
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil // a machine without a network meets nobody else
}
