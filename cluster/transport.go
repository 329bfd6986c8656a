package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
)

// dialTimeout is shorter than the repetition of a lost SYN is late, so that what was tried just before a partition
// heals is soon tried again. It holds for round trips up to a second.
const dialTimeout = time.Second

// transport is memberlist's own, with dials that are bounded and end with us.
type transport struct {
	*memberlist.NetTransport
	ctx    context.Context // of our life: memberlist passes none
	cancel context.CancelFunc
}

func newTransport(listen netip.Addr, port int, logs debugWriter) (*transport, error) {
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{listen.String()}, BindPort: port, Logger: tuned(logs).Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &transport{inner, ctx, cancel}, nil
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout returns a connection that breaks when we shut down, or an exchange would go on after Run.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: min(timeout, dialTimeout)}
	conn, err := dialer.DialContext(t.ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	// memberlist sets a deadline where it reads, but none where it sends a message: a peer that is frozen would
	// hold up all that is to be delivered to others.
	if err := conn.SetDeadline(time.Now().Add(streamTimeout)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	stop := context.AfterFunc(t.ctx, func() { _ = conn.Close() })
	return &dialled{conn, stop}, nil
}

func (t *transport) Shutdown() error {
	t.cancel()
	return t.NetTransport.Shutdown()
}

type dialled struct {
	net.Conn
	stop func() bool
}

func (d *dialled) Close() error {
	d.stop()
	return d.Conn.Close()
}
