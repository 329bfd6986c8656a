//go:build !linux

package proxy

import "syscall"

func acknowledged(syscall.Conn) (bytes int64, more, known bool) { return 0, false, false }
