package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/fairlead-gateway/fairlead/configs"
)

// queryBuffer is what the kernel keeps of queries that were not read yet, in bytes: a second's at 5,000 a second.
const queryBuffer = 4 << 20

// sockets are the listeners of a gateway, opened together so that all that is wrong is said at once
// and nothing is served until everything is open.
type sockets struct {
	udp   []*net.UDPConn
	tcp   []net.Listener // DNS
	proxy []net.Listener
	admin net.Listener
}

func (s *sockets) all(ctx context.Context, c *configs.Config) error {
	var errs []error
	var listen net.ListenConfig
	for _, address := range c.DNS.Listen {
		errs = append(errs, s.dns(ctx, address))
	}
	for _, address := range c.Proxy.Listen {
		l, err := listen.Listen(ctx, "tcp", address)
		if err != nil {
			errs = append(errs, fmt.Errorf("proxy.listen: %w", err))
			continue
		}
		s.proxy = append(s.proxy, l)
	}
	l, err := listen.Listen(ctx, "tcp", c.Admin.Listen)
	if err != nil {
		errs = append(errs, fmt.Errorf("admin.listen: %w", err))
	} else {
		s.admin = l
	}
	return errors.Join(errs...)
}

// dns opens both transports: RFC 7766 makes TCP as obligatory as UDP.
func (s *sockets) dns(ctx context.Context, address string) error {
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return fmt.Errorf("dns.listen: %w", err)
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return fmt.Errorf("dns.listen: %w", err)
	}
	widen(conn)
	s.udp = append(s.udp, conn)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("dns.listen: %w", err)
	}
	s.tcp = append(s.tcp, l)
	return nil
}

// close is for when not everything could be opened; who serves a socket closes it, too, and twice
// does no harm.
func (s *sockets) close() {
	for _, c := range s.udp {
		_ = c.Close()
	}
	for _, l := range append(s.tcp, s.proxy...) {
		_ = l.Close()
	}
	if s.admin != nil {
		_ = s.admin.Close()
	}
}
