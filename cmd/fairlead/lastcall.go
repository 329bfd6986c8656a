package main

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// lastCallTime is how long a listener that has been closed still accepts: longer than it takes to accept what the
// kernel has already connected, which closing would reset.
const lastCallTime = 100 * time.Millisecond

// lastCall is a listener whose Close leaves nobody at the door.
type lastCall struct {
	net.Listener // over socket
	socket       interface{ SetDeadline(time.Time) error }
	close        sync.Once
}

// Close does not wait. Accept closes the socket when its time has come.
func (l *lastCall) Close() (err error) {
	l.close.Do(func() { err = l.socket.SetDeadline(time.Now().Add(lastCallTime)) })
	return err
}

func (l *lastCall) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.Join(net.ErrClosed, l.Listener.Close())
	}
	return conn, err
}
