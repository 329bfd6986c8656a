package h1

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"
)

// pool is the connections to one server: at most Client.MaxConns, of which Client.MaxIdle wait for the next request.
type pool struct {
	// Static.
	client  *Client
	address string // to dial
	secure  bool

	mu      sync.Mutex
	open    int           // connections, and those being made. Guarded by mu, as all below.
	idle    []*conn       // the one that has rested least is last
	waiting []chan *conn  // for a connection, or for leave to make one (nil); each has room for one
	sweep   *time.Timer   // closes what has rested for too long; nil: none is set
	proven  time.Duration // a connection that had rested for so long was open, and none has broken since
}

// take is a connection that has rested for mayRest at most, or a new one.
func (p *pool) take(ctx context.Context, mayRest time.Duration) (*conn, error) {
	p.mu.Lock()
	for len(p.idle) > 0 && mayRest > 0 {
		last := len(p.idle) - 1
		c := p.idle[last]
		if time.Since(c.idle) > mayRest {
			break
		}
		p.idle = p.idle[:last]
		if isOpen(c) {
			p.mu.Unlock()
			return c, nil
		}
		p.open--
		c.kill()
	}
	if p.open >= p.client.MaxConns && len(p.idle) > 0 { // none that will do; one of them makes room
		p.idle[0].kill()
		p.idle = slices.Delete(p.idle, 0, 1)
		p.open--
	}
	if p.open < p.client.MaxConns {
		p.open++
		p.mu.Unlock()
		return p.dial(ctx)
	}
	turn := make(chan *conn, 1)
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	return p.await(ctx, turn, mayRest)
}

// await waits until another request is done with its connection.
func (p *pool) await(ctx context.Context, turn chan *conn, mayRest time.Duration) (*conn, error) {
	select {
	case c := <-turn:
		if c != nil && mayRest > 0 && isOpen(c) {
			return c, nil
		}
		if c != nil {
			c.kill()
		}
		return p.dial(ctx)
	case <-ctx.Done():
		p.mu.Lock()
		i := slices.Index(p.waiting, turn)
		if i >= 0 {
			p.waiting = slices.Delete(p.waiting, i, i+1)
		}
		p.mu.Unlock()
		if i < 0 { // it came in this moment
			p.put(<-turn, true)
		}
		return nil, ctx.Err()
	}
}

// put takes a connection back, to be used again or to be closed. nil is one that was never made.
func (p *pool) put(c *conn, reuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c != nil && !reuse {
		c.kill()
		c = nil
	}
	if c != nil {
		c.reused, c.idle = true, time.Now()
	}
	switch {
	case len(p.waiting) > 0: // its place goes with it
		p.waiting[0] <- c
		p.waiting = slices.Delete(p.waiting, 0, 1)
	case c == nil:
		p.open--
	case len(p.idle) >= p.client.MaxIdle || p.client.closed.Load():
		p.open--
		c.kill()
	default:
		p.idle = append(p.idle, c)
		if p.sweep == nil {
			p.sweep = time.AfterFunc(p.client.IdleTimeout, p.sweepIdle)
		}
	}
}

// sweepIdle closes what has rested for IdleTimeout.
func (p *pool) sweepIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep = nil
	kept := slices.IndexFunc(p.idle, func(c *conn) bool { return time.Since(c.idle) < p.client.IdleTimeout })
	if kept < 0 {
		kept = len(p.idle)
	}
	p.closeFirst(kept)
	if len(p.idle) > 0 {
		p.sweep = time.AfterFunc(p.client.IdleTimeout-time.Since(p.idle[0].idle), p.sweepIdle)
	}
}

// closeFirst needs mu.
func (p *pool) closeFirst(n int) {
	for _, c := range p.idle[:n] {
		c.kill()
	}
	p.idle, p.open = slices.Delete(p.idle, 0, n), p.open-n
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeFirst(len(p.idle))
}

// isUsed reports whether the pool has connections, or makes some.
func (p *pool) isUsed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open > 0
}

// dial makes a connection in the place that take has taken for it.
func (p *pool) dial(ctx context.Context) (c *conn, err error) {
	defer func() {
		if err != nil {
			p.put(nil, false)
		}
	}()
	raw, err := p.client.Dial(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	c = &conn{line: &line{Conn: raw, made: time.Now()}, pool: p}
	c.Conn = c.line
	if p.secure {
		if c.Conn, err = p.handshake(ctx, c.line); err != nil {
			_ = raw.Close()
			return nil, err
		}
	} else {
		c.tcp, _ = raw.(*net.TCPConn)
	}
	c.in = bufio.NewReader(c.Conn)
	return c, nil
}

func (p *pool) handshake(ctx context.Context, over net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.client.HandshakeTimeout)
	defer cancel()
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.client.TLS != nil {
		config = p.client.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(p.address)
	}
	secure := tls.Client(over, config)
	return secure, secure.HandshakeContext(ctx)
}

// minProven is less than servers wait for. One that is not known to wait for so long closes when it likes.
const minProven = time.Second

// restOfLong is how long a connection may have rested that gets a body which cannot be held: half of what is known to
// be safe, since servers close after the same time each. 0: it must be a new one.
func (p *pool) restOfLong() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proven >= minProven {
		return p.proven / 2
	}
	return 0
}

// noteRested learns from what became of a connection that had rested.
func (p *pool) noteRested(rested time.Duration, broke bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if broke {
		p.proven = 0
		return
	}
	p.proven = max(p.proven, rested)
}
