package dnsserver

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"
)

const (
	// MostConns is Config.MaxConns where descriptors are not short. A newer connection closes the one that has been
	// without a complete query for longest: who connects and says nothing, or a byte a second, shuts nobody out.
	MostConns = 256
	// idleTimeout is how long a connection may be silent between queries (RFC 7766, section 6.2.3).
	idleTimeout = 10 * time.Second
	// messageTimeout is how long one message may take, in either direction.
	messageTimeout = 2 * time.Second
)

// ServeTCP answers the queries of l's connections until ctx ends; it closes l and them, and lets a
// reply that is being written end. It returns an error only if l was closed by others.
func (s *Server) ServeTCP(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()

	var conns errgroup.Group
	conns.SetLimit(s.maxConns)
	err := s.accept(ctx, l, &conns)
	cancel()
	_ = conns.Wait() // they have no errors to tell
	return err
}

func (s *Server) accept(ctx context.Context, l net.Listener, conns *errgroup.Group) error {
	live, err := lru.NewWithEvict(s.maxConns, func(c net.Conn, _ struct{}) { c.Close() })
	if err != nil {
		return err
	}
	for failed := 0; ; {
		c, err := l.Accept()
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
		if live.Add(c, struct{}{}) {
			s.metrics.drop(dropBusy)
		}
		// Waits, if at all, for the connection just closed.
		conns.Go(func() error {
			defer live.Remove(c) // closes it
			s.serveConn(ctx, c, func() { live.Get(c) })
			return nil
		})
	}
}

// serveConn answers one query after the other, in order, until the client ends or misbehaves. What
// gets no reply ends the connection: where the framing is lost nothing that follows can be trusted.
// The number of queries does not: closing with some unread sends a reset (RFC 1122, section 4.2.2.13),
// and with it replies are lost that were written already. completed is called for each complete query.
func (s *Server) serveConn(ctx context.Context, c net.Conn, completed func()) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(0, 0)) })
	defer stop()
	from := peer(c)
	r := bufio.NewReader(c)
	for {
		query, err := readMessage(ctx, c, r)
		if err != nil {
			return
		}
		completed()
		reply := s.guarded(query, from, true)
		if reply == nil {
			return
		}
		if err := writeMessage(c, reply); err != nil {
			s.metrics.drop(dropWrite)
			return
		}
	}
}

// readMessage reads a message and its length (RFC 1035, section 4.2.2). All of the message has one
// deadline that no trickle of bytes moves.
func readMessage(ctx context.Context, c net.Conn, r *bufio.Reader) ([]byte, error) {
	if err := within(ctx, c, idleTimeout); err != nil {
		return nil, err
	}
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	if err := within(ctx, c, messageTimeout); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

// within sets the deadline of reads. The end of ctx sets it to the past: looking at ctx afterwards
// makes sure that this one does not undo that.
func within(ctx context.Context, c net.Conn, d time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	return ctx.Err()
}

// writeMessage writes length and message at once: some clients take two segments for two messages
// (RFC 7766, section 8).
func writeMessage(c net.Conn, msg []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(messageTimeout)); err != nil {
		return err
	}
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	return err
}

// peer is the client's address; not valid if the connection has none, and then nobody can place it.
func peer(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr()
	}
	return netip.Addr{}
}
