package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// acknowledged is tcpi_bytes_acked of TCP_INFO (RFC 4898, tcpEStatsAppHCThruOctetsAcked), and whether there is more.
func acknowledged(socket syscall.Conn) (bytes int64, more, known bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false, false
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			bytes = int64(info.Bytes_acked) //nolint:gosec // no connection moves 8 EiB
			more, known = info.Notsent_bytes > 0 || info.Unacked > 0, true
		}
	})
	return bytes, more, known
}
