//go:build !unix

package tlsbuf

const canRead = false

func read(uintptr, []byte) (n int, wait bool, err error) { panic("unreachable") }
