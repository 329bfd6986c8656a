// Package test runs the whole program against real registries and real clients. It is a module of its own, so that no
// test tool is a dependency of the product.
//
// fairlead is built from the folder above with the race detector on. Programs in Go are pinned by the tool lines of
// go.mod; clients from Debian are used where they are installed (see install-clients.sh), and a missing one is a
// failure where CI is set. It needs Linux: every address of 127.0.0.0/8 must be its own without being set up, and
// memory figures are read from /proc.
//
// # How many at once
//
// Half as many tests again as there are processors run whole programs at once, and no more, since they wait for a
// third of their time: TestMain sets -parallel where nobody does, and the testing package's own semaphore holds them
// to it. A test takes part by calling t.Parallel before it starts anything; one that does not runs alone, before the
// others. A test holds one place however many programs it starts, from the beginning to the end; while it waits for
// parallel cases of its own they hold the places. So nothing can wait for itself. What the tests run is built before
// the first of them.
//
// # How long a wait is
//
// A bound is for an idle machine: patient makes it longer where a processor is slow, or wanted by many. waitFor and
// command do that by themselves; a deadline that a test sets itself (of an http.Client, of a connection) is
// patient(bound).
//
// # Small and long
//
// `make test` passes -short. Then a test, or a case of one, that calls long is left out, and few(small, whole) is
// small. A test that takes more than some ten seconds by itself has a small form, or is long. `make check` runs all in
// the whole form, once, and so does go test without -short.
package test
