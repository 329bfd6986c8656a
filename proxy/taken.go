package proxy

import "syscall"

// taken is how many bytes the client's machine has acknowledged on its connection; only differences say something. What
// is written fills the kernel's buffer first, which says nothing about a client that takes a byte now and then. It is
// not known of HTTP/2, where streams share a connection.
func (x *exchange) taken() (bytes int64, known bool) {
	if x.in.ProtoMajor >= 2 {
		return 0, false
	}
	conn := connOf(x.in)
	if conn == nil {
		return 0, false
	}
	socket, ok := conn.socket().(syscall.Conn)
	if !ok {
		return 0, false
	}
	return acknowledged(socket)
}
