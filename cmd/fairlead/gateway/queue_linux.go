package gateway

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// queued is how many connections the kernel has made for a listener that nobody has accepted yet: closing it resets
// them. For a listening socket TCP_INFO has that as tcpi_unacked.
func queued(l net.Listener) int {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int(info.Unacked)
		}
	})
	return n
}

// widen has the kernel keep more queries while this process is busy, or starts; beyond what the system allows everybody
// (net.core.rmem_max) only with CAP_NET_ADMIN.
func widen(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queryBuffer)
	})
	if err != nil {
		_ = conn.SetReadBuffer(queryBuffer)
	}
}
