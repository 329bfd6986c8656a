package test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// TestCuts: the way to a replica breaks again and again while a large blob is copied there. It arrives, and little of
// it is sent twice.
func TestCuts(t *testing.T) {
	t.Parallel()
	for _, kind := range []registryKind{distributionKind, memoryKind} {
		t.Run(kind.name, func(t *testing.T) {
			mib, cuts, resumes := number(t, "FAIRLEAD_CUTS_MIB", few(16, 32)), number(t, "FAIRLEAD_CUTS", few(5, 10)),
				kind.name == distributionKind.name
			if !resumes { // it does not say how much of an upload it has: after a cut it gets all of it again
				mib, cuts = 8, 4
			}
			registries := startRegistries(t, kind, splitReplicas[:2])
			wire := newCutter(t, registries[1].address, freeAddress(t, registries[1].ip()), int64(mib)<<20, cuts)
			replicas := withUpstreams(splitReplicas[:2], registries)
			replicas[1].upstream = "http://" + wire.address
			g := startGateway(t, "gateway", registries[0].ip(), file{
				here: replicas[0].name, health: "{fronts: false}", networks: splitNetworks, replicas: replicas,
				replication: copyAll,
			})
			client := newRegional(t, 1, g)
			of, size, err := client.pushLayers(t, "cut", "v1", "amd64", 1, mib<<20)
			must(t, err)
			waitFor(t, startBound, "the image to arrive",
				func() error { return wholeEverywhere(t, registries, "cut", "v1", of.Digest) })
			g.end(t) // so that all connections have ended
			sent := wire.passed.Load()
			t.Logf("figure: %s: %d MiB, %d connections cut: %.3f of it sent", kind.name, mib, wire.made.Load(),
				float64(sent)/float64(size))
			if int(wire.made.Load()) < cuts/2 || resumes && sent > int64(size)*11/10 {
				t.Errorf("%d cuts of %d, %d bytes sent of %d", wire.made.Load(), cuts, sent, size)
			}
		})
	}
}

// cutter passes connections on, and cuts those that carry much at random places.
type cutter struct {
	address string
	most    int64        // bytes between cuts
	passed  atomic.Int64 // bytes
	left    atomic.Int32
	made    atomic.Int32
}

func newCutter(t testing.TB, to, at string, size int64, cuts int) *cutter {
	l, err := net.Listen("tcp", at)
	must(t, err)
	c := &cutter{address: at, most: size / int64(cuts) * 3 / 2}
	c.left.Store(int32(cuts))
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.pass(in, to) })
		}
	})
	t.Cleanup(func() { l.Close() })
	return c
}

func (c *cutter) pass(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	// what is lost in here nobody has cut off
	_, _ = in.(*net.TCPConn).SetReadBuffer(64<<10), out.(*net.TCPConn).SetWriteBuffer(64<<10)
	go func() { _, _ = io.Copy(in, out); in.Close() }()
	limit := 1 + rand.Int64N(c.most)
	n, _ := io.Copy(out, io.LimitReader(in, limit))
	c.passed.Add(n)
	if n < limit {
		return // it has ended by itself
	}
	if c.left.Add(-1) < 0 {
		n, _ := io.Copy(out, in)
		c.passed.Add(n)
		return
	}
	c.made.Add(1)
}
