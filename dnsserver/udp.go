package dnsserver

import (
	"context"
	"net"
	"net/netip"
	"runtime"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sync/errgroup"
)

const (
	// maxUDPQuery is the longest query read, in bytes; of a longer one the end is missing, which is
	// FORMERR. A name, EDNS and every option we know of fit in a quarter of it.
	maxUDPQuery = 4096
	// maxUDPWorkers bounds the goroutines of one socket; beyond some dozen they only wait for one
	// another at its lock.
	maxUDPWorkers = 64
)

// udpConn is what a worker needs of *net.UDPConn.
type udpConn interface {
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
}

// ServeUDP answers what comes to conn until ctx ends; it closes conn. A fixed number of workers each
// read, answer and write: a goroutine per packet costs more than the answer does, and has no bound.
// It returns an error only if conn cannot tell where a packet was sent to or was closed by others.
func (s *Server) ServeUDP(ctx context.Context, conn *net.UDPConn) error {
	defer conn.Close()
	if err := wantDestination(conn); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	return s.udpWorkers(ctx, conn)
}

func (s *Server) udpWorkers(ctx context.Context, conn udpConn) error {
	var workers errgroup.Group
	for range min(max(runtime.GOMAXPROCS(0), 2), maxUDPWorkers) {
		workers.Go(func() error { return s.udpWorker(ctx, conn) })
	}
	return workers.Wait()
}

func (s *Server) udpWorker(ctx context.Context, conn udpConn) error {
	query, oob := make([]byte, maxUDPQuery), make([]byte, oobSize())
	failed := 0
	for {
		n, oobn, _, client, err := conn.ReadMsgUDPAddrPort(query, oob)
		if err != nil {
			goOn, err := pauseAfter(ctx, err, failed)
			if !goOn {
				return err
			}
			s.metrics.drop(dropRead)
			failed++
			continue
		}
		failed = 0
		reply := s.guarded(query[:n], client.Addr(), false)
		if reply == nil {
			continue
		}
		if _, _, err := conn.WriteMsgUDPAddrPort(reply, sourceFrom(oob[:oobn]), client); err != nil {
			s.metrics.drop(dropWrite)
		}
	}
}

// wantDestination makes reads tell which address a packet was sent to. On a socket of one address
// that is known anyway, so failing to is an error on a wildcard socket only.
func wantDestination(conn *net.UDPConn) error {
	err4 := ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true)
	err6 := ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst, true)
	local, _ := conn.LocalAddr().(*net.UDPAddr)
	if err4 != nil && err6 != nil && local != nil && local.IP.IsUnspecified() {
		return err4
	}
	return nil
}

// oobSize has room for both forms: a query over IPv4 to a socket of both families brings both.
func oobSize() int {
	return len(ipv4.NewControlMessage(ipv4.FlagDst)) + len(ipv6.NewControlMessage(ipv6.FlagDst))
}

// sourceFrom turns the control message of a query into that of its reply: it leaves from the address
// that the query came to. Left to itself the kernel picks by route, and a client drops what comes
// from an address that it did not ask.
func sourceFrom(oob []byte) []byte {
	var in6 ipv6.ControlMessage
	if in6.Parse(oob) == nil && in6.Dst != nil && in6.Dst.To4() == nil {
		return (&ipv6.ControlMessage{Src: in6.Dst}).Marshal()
	}
	// A query over IPv4 to a socket of both families is told in IPv6 form.
	dst := in6.Dst
	var in4 ipv4.ControlMessage
	if dst == nil && in4.Parse(oob) == nil {
		dst = in4.Dst
	}
	if dst == nil {
		return nil
	}
	return (&ipv4.ControlMessage{Src: dst}).Marshal()
}
