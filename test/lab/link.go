package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// fault is what happens to the replica that serves a pull, when it has sent so many bytes. It happens once, to the
// first that has.
type fault struct {
	after  int64 // static
	strike func(struck *link)
	once   sync.Once
	struck atomic.Bool
}

// left is how many bytes a replica may still send before the fault; 0 or less if it has sent them.
func (f *fault) left(sent int64) int64 { return f.after - sent }

func (f *fault) happen(to *link) {
	f.once.Do(func() {
		f.struck.Store(true)
		f.strike(to)
	})
}

// link is the network between the gateway and a replica. It counts what the replica sends.
type link struct {
	replica *process
	fault   *fault

	sent   atomic.Int64
	slow   atomic.Bool // each connection at slowRate, also the new ones
	broken atomic.Bool // no new connections

	mu   sync.Mutex
	open map[*net.TCPConn]bool // both sides; guarded by mu
}

// slowRate is in bytes a second.
const slowRate = 1 << 10

// linkBuffer is small, or much of what was counted would not have come to the gateway when it is cut off.
const linkBuffer = 64 << 10

// listen passes connections on until it is stopped.
func (l *link) listen(ctx context.Context, address, to string) (stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.connect(ctx, conn.(*net.TCPConn), to)
		}
	}()
	return func() { _ = listener.Close(); l.cut(false) }, nil
}

func (l *link) connect(ctx context.Context, gateway *net.TCPConn, to string) {
	defer l.close(gateway)
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	replica := conn.(*net.TCPConn)
	defer l.close(replica)
	if !l.add(gateway, replica) {
		return
	}
	_ = gateway.SetWriteBuffer(linkBuffer)
	done := make(chan bool)
	go func() {
		copyHalf(replica, gateway)
		close(done)
	}()
	copyHalf(gateway, counted{replica, l})
	<-done
}

// counted reads what a replica sends.
type counted struct {
	net.Conn
	link *link
}

// Read never reads beyond the byte at which the fault happens.
func (c counted) Read(b []byte) (int, error) {
	if left := c.link.fault.left(c.link.sent.Load()); left <= 0 {
		c.link.fault.happen(c.link)
	} else {
		b = b[:min(int64(len(b)), left)]
	}
	if !c.link.slow.Load() {
		n, err := c.Conn.Read(b)
		c.link.sent.Add(int64(n))
		return n, err
	}
	n, err := c.Conn.Read(b[:min(len(b), slowRate)])
	time.Sleep(time.Duration(n) * time.Second / slowRate)
	c.link.sent.Add(int64(n))
	return n, err
}

func (l *link) add(conns ...*net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken.Load() {
		return false
	}
	for _, conn := range conns {
		l.open[conn] = true
	}
	return true
}

func (l *link) close(conn *net.TCPConn) {
	l.mu.Lock()
	delete(l.open, conn)
	l.mu.Unlock()
	_ = conn.Close()
}

// cut closes all connections, by RST or by FIN.
func (l *link) cut(reset bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.open {
		if reset {
			_ = conn.SetLinger(0)
		}
		_ = conn.Close()
	}
}
