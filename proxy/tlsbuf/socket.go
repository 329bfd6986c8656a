// Package tlsbuf has the bytes of TLS take fewer system calls. crypto/tls writes each record of 16 KiB by itself, and
// reads hardly more than one at a time; a system call costs as much as encrypting one. Here several records leave
// together, come together, and are handed on together. Nothing is held for a connection that waits.
//
//	t := tls.Server(tlsbuf.Under(conn), config) // and after the handshake
//	tlsbuf.Over(t)                              // for HTTP/1.1
//	tlsbuf.Merge(tlsbuf.Over(t), silence)       // for HTTP/2
package tlsbuf

import (
	"net"
	"syscall"
)

// recordMost is a full record as it travels: 16 KiB, its header (5 bytes), and what the ciphers that servers of ours
// offer add to it (RFC 8446, 5.2: at most 256).
const recordMost = 16<<10 + 5 + 256

// bufferSize is four full records: with more, a call costs no less per byte.
const bufferSize = 4 * recordMost

// socket is the connection that TLS has its records from and writes them to.
type socket struct {
	net.Conn
	in  input
	out output
}

// Under wraps a connection for tls.Server.
func Under(c net.Conn) net.Conn {
	s := &socket{Conn: c}
	s.in.from, s.out.to = c, c
	if below, ok := c.(syscall.Conn); ok && canRead {
		if raw, err := below.SyscallConn(); err == nil {
			s.in.raw, s.in.fill = raw, s.in.readOnce
		}
	}
	return s
}

// NetConn is the connection that Under wrapped.
func (s *socket) NetConn() net.Conn { return s.Conn }

func (s *socket) Read(p []byte) (int, error)  { return s.in.read(p) }
func (s *socket) Write(p []byte) (int, error) { return s.out.write(p) }

func (s *socket) Close() error {
	err := s.Conn.Close()
	s.in.close()
	return err
}
