// Package test runs the whole program against real registries and real clients. It is a module of its own, so that no
// test tool is a dependency of the product.
//
// fairlead is built from the folder above with the race detector on. Programs in Go are pinned by the tool lines of
// go.mod; clients from Debian are used where they are installed (see install-clients.sh), and a missing one is a
// failure where CI is set. It needs Linux: every address of 127.0.0.0/8 must be its own without being set up, and
// memory figures are read from /proc.
package test
