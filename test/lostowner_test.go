package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestLostOwner kills the replica that owns a push at a random moment of it. The client, left to itself, ends with a
// whole image on another replica, or with an error; never with a damaged one, and it never hangs.
func TestLostOwner(t *testing.T) {
	t.Parallel()
	for i, set := range prepareClients(t, few(1, 2)) {
		t.Run(set.client.name, func(t *testing.T) {
			if i%few(2, 1) > 0 {
				long(t)
			}
			set.need(t)
			t.Parallel()
			var whole, failed, unharmed int
			for i, img := range set.images {
				switch end := loseOwner(t, set, img, i); end {
				case "whole":
					whole++
				case "failed":
					failed++
				case "unharmed":
					unharmed++
				default:
					t.Errorf("round %d: %s", i, end)
				}
			}
			t.Logf("figure: %d pushes whose owner was killed: %d ended whole on another replica, %d failed, %d were finished before, 0 damaged", len(set.images), whole, failed, unharmed)
		})
	}
}

// loseOwner says how a push ended: "whole", "failed", "unharmed" (the kill came too late to matter), or what is wrong.
func loseOwner(t *testing.T, set *clientSet, img image, round int) string {
	registries := startRegistries(t, distributionKind, splitReplicas)
	replicas := withUpstreams(splitReplicas, registries)
	g := startGateway(t, "gateway", "127.0.0.1", file{here: "westus",
		health: "{fronts: false, interval: 1s, timeout: 1s}", networks: splitNetworks, replicas: replicas})
	defer g.kill()
	var begun atomic.Bool
	began := make(chan bool)
	via := slowFront(t, g.listen, func() {
		if begun.CompareAndSwap(false, true) {
			close(began)
		}
	})
	repository := fmt.Sprintf("lost-%d", round)
	var pushed push
	var all sync.WaitGroup
	all.Go(func() {
		pushed.digest, pushed.err = set.push(t, img, via.address+"/"+repository+":"+imageTag)
	})
	<-began
	time.Sleep(time.Duration(rand.IntN(1200)) * time.Millisecond) // the moment is what is tried
	registries[0].kill()
	all.Wait()
	defer func() {
		for _, r := range registries {
			r.kill()
		}
	}()
	alive := registries[1:]
	h, err := whereIs(alive, repository, imageTag)
	switch {
	case err != nil:
		return err.Error()
	case len(h.missing) > 0:
		return fmt.Sprintf("damaged: manifest on %v, missing there: %v", h.owners, h.missing)
	case pushed.err != nil:
		t.Logf("%s failed: %s", repository, lastLine(pushed.err.Error()))
		return "failed"
	case len(h.owners) == 0:
		return "unharmed"
	}
	return "whole"
}

// slowFront passes some 250 KB a second on from the client, and tells when the first connection has come.
func slowFront(t testing.TB, gateway string, came func()) front {
	return connectionFront(t, "127.0.1.1", func(ctx context.Context) (net.Conn, error) {
		came()
		conn, err := from("127.0.1.7").DialContext(ctx, "tcp", gateway)
		return slow{conn}, err
	})
}

type slow struct{ net.Conn }

func (s slow) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), 16<<10)]
		time.Sleep(64 * time.Millisecond)
		m, err := s.Conn.Write(part)
		n += m
		if err != nil {
			return n, err
		}
		b = b[len(part):]
	}
	return n, nil
}

func (s slow) CloseWrite() error { return s.Conn.(*net.TCPConn).CloseWrite() }

// lastLine is where clients say why.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return tail(lines[len(lines)-1], 400)
}
