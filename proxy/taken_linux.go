package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// acknowledged is tcpi_bytes_acked of TCP_INFO (RFC 4898, tcpEStatsAppHCThruOctetsAcked).
func acknowledged(socket syscall.Conn) (bytes int64, known bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			bytes, known = int64(info.Bytes_acked), true //nolint:gosec // no connection moves 8 EiB
		}
	})
	return bytes, known
}
