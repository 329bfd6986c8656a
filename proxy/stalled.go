package proxy

import (
	"net"
	"syscall"
)

// taken is how many bytes the client's machine has acknowledged on its connection; only differences say something. What
// is written fills the kernel's buffer first, which says nothing about a client that takes a byte now and then. It is
// not known of HTTP/2, where streams share a connection.
func (x *exchange) taken() (bytes int64, known bool) {
	bytes, _, known = x.acknowledged()
	return bytes, known
}

func (x *exchange) acknowledged() (bytes int64, more, known bool) {
	conn := connOf(x.in)
	if conn == nil || x.in.ProtoMajor >= 2 {
		return 0, false, false
	}
	socket, ok := conn.socket().(syscall.Conn)
	if !ok {
		return 0, false, false
	}
	return acknowledged(socket)
}

// resetOnClose has the kernel drop what a client has not taken when its connection is closed, rather than offer it for
// as long as the client likes.
func (x *exchange) resetOnClose() {
	if _, more, _ := x.acknowledged(); !more {
		return
	}
	if tcp, ok := connOf(x.in).socket().(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}
