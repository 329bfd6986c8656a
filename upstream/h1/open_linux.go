package h1

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// isOpen looks, without waiting, whether a connection that rests was closed, or has bytes that nobody has asked for. In
// TLS there may be some (RFC 8446, 4.6).
func isOpen(c *conn) bool {
	raw, ok := rawOf(c.line.Conn)
	if !ok {
		return true
	}
	open := true
	err := raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		open = err == unix.EAGAIN || err == nil && n > 0 && c.pool.secure
		return true
	})
	return err == nil && open
}

func rawOf(c net.Conn) (syscall.RawConn, bool) {
	with, ok := c.(syscall.Conn)
	if !ok {
		return nil, false
	}
	raw, err := with.SyscallConn()
	return raw, err == nil
}
