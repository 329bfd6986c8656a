package test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flooder has the address that floods come from. Where clients' addresses are forwarded it is a trusted proxy's.
const flooder = "127.0.0.9"

// TestFloodOfUploads: whoever begins uploads without end, each to another repository with a long name, from one address
// or from many, makes the gateway remember no more than it has room for; 100 clients push beside that.
func TestFloodOfUploads(t *testing.T) {
	long(t)
	posts := number(t, "FAIRLEAD_FLOOD_POSTS", 50_000)
	for _, addresses := range []int{1, 10_000} {
		t.Run(fmt.Sprintf("from %d", addresses), func(t *testing.T) {
			f := file{
				health: "{fronts: false}", networks: splitNetworks, databases: []string{},
				replicas: []replica{{name: "westus", place: "azure/westus", address: "127.0.0.1",
					upstream: startSink(t), home: true}},
			}
			if addresses > 1 {
				f.trusted = fmt.Sprintf("[%s]", flooder)
			}
			program := confined(t, built(t, shippedProgram), confinement{memory: littleMemory})
			g := startCommand(t, program, "gateway", "127.0.0.1", f)
			before := g.peakKiB(t)
			var codes statuses
			flooded := make(chan struct{})
			began := time.Now()
			go func() { defer close(flooded); floodUploads(g, posts, addresses, &codes) }()
			failed := pushBeside(t, g, 100, flooded)
			<-flooded
			took := time.Since(began)
			peak := g.peakKiB(t)
			t.Logf("figure: %d upload POSTs in %v: %d MiB before, %d MiB at most; answers %v; %d of 100 pushes beside them failed",
				posts, took.Round(time.Second), before>>10, peak>>10, &codes, failed)
			if peak<<10 > littleMemory {
				t.Errorf("it held %d MiB", peak>>10)
			}
			if failed > 0 {
				t.Errorf("%d pushes failed", failed)
			}
			if g.ended() {
				t.Fatal("the gateway has ended")
			}
		})
	}
}

// floodUploads begins so many uploads, by 64 connections at once.
func floodUploads(g *gateway, posts, addresses int, codes *statuses) {
	var next atomic.Int64
	padding := strings.Repeat("x", 180)
	each(64, func(int) {
		for int(next.Load()) < posts {
			conn, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.ParseIP(flooder)}, tcpAddress(g.listen))
			if err != nil {
				codes.add(0)
				return
			}
			floodBy(conn, padding, &next, posts, addresses, codes)
			conn.Close()
		}
	})
}

// floodBy ends with the connection, or when all is done.
func floodBy(conn net.Conn, padding string, next *atomic.Int64, posts, addresses int, codes *statuses) {
	from := bufio.NewReader(conn)
	for {
		n := int(next.Add(1))
		if n > posts {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(patient(20 * time.Second)))
		a := n % addresses
		fmt.Fprintf(conn, "POST /v2/flooded/%d/%s/blobs/uploads/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n", n,
			padding, hostname)
		if addresses > 1 {
			fmt.Fprintf(conn, "X-Forwarded-For: 10.%d.%d.%d\r\n", a>>16, a>>8&255, a&255)
		}
		fmt.Fprint(conn, "\r\n")
		response, err := http.ReadResponse(from, nil)
		if err != nil {
			codes.add(0)
			return
		}
		_, _ = from.Discard(int(max(response.ContentLength, 0)))
		codes.add(response.StatusCode)
		if response.Close {
			return
		}
	}
}

func tcpAddress(hostport string) *net.TCPAddr {
	a, _ := net.ResolveTCPAddr("tcp", hostport)
	return a
}

// pushBeside pushes so many images, each by a client with an address of its own, spread over as long as it takes until
// over is closed, and says how many failed.
func pushBeside(t testing.TB, g *gateway, images int, over <-chan struct{}) (failed int) {
	var mu sync.Mutex
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range images {
			next <- i
			select {
			case <-over:
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	each(4, func(int) {
		for i := range next {
			client := &http.Client{Timeout: patient(30 * time.Second), Transport: &http.Transport{
				DialContext: from(fmt.Sprintf("127.0.1.%d", i+1)).DialContext}}
			if err := pushImage(client, g.url(), fmt.Sprint("app-", i), 1<<20); err != nil {
				mu.Lock()
				failed++
				mu.Unlock()
				t.Log(err)
			}
			client.CloseIdleConnections()
		}
	})
	return failed
}

// pushImage pushes a layer of so many bytes, a config and a manifest.
func pushImage(client *http.Client, base, repository string, bytes int) error {
	layer, config := make([]byte, bytes), []byte("{}")
	for _, blob := range [][]byte{layer, config} {
		if err := pushBlob(client, base, repository, blob); err != nil {
			return err
		}
	}
	_, err := do(client, http.MethodPut, base+"/v2/"+repository+"/manifests/v1", typeManifest,
		fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q,"size":2},"layers":[{"digest":%q,"size":%d}]}`,
			digestOf(config), digestOf(layer), bytes), http.StatusCreated)
	return err
}
