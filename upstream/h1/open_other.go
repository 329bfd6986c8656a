//go:build !linux

package h1

// isOpen cannot look here: what was closed shows when the next request breaks, and is sent again.
func isOpen(*conn) bool { return true }
