//go:build unix

package tlsbuf

import (
	"os"
	"syscall"
)

const canRead = true

// read is one call of read(2). It says to wait where that would have to.
func read(fd uintptr, p []byte) (n int, wait bool, err error) {
	for {
		n, err = syscall.Read(int(fd), p)
		switch err {
		case nil:
			return n, false, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, os.NewSyscallError("read", err)
		}
	}
}
