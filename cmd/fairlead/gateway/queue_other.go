//go:build !linux

package gateway

import "net"

// queued is known on Linux alone.
func queued(net.Listener) int { return 0 }

func widen(conn *net.UDPConn) { _ = conn.SetReadBuffer(queryBuffer) }
