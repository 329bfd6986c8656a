package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestDrainEach: three gateways of one cluster, each stopped and started again in turn while clients of all regions go
// on. No request fails: of clients that look the name up as long as its TTL says, over connections that they keep, and
// of one that is in the middle of a blob all the time of the stop. The last gateway is drained by the command first.
func TestDrainEach(t *testing.T) {
	t.Parallel()
	const block = 40
	peer := func(i int) string { return fmt.Sprintf("127.1.%d.%d:7946", block, i+1) }
	sites := startSitesOf(t, built(t, fairleadProgram), block, func(i int, f *file) {
		f.cluster = fmt.Sprintf("{listen: %q, peers: [%q, %q, %q], name: gw-%d}", peer(i), peer(0), peer(1), peer(2), i)
		f.networks = nil
		for j, r := range failoverReplicas {
			f.networks = append(f.networks, network{regionOf(j), r.place})
		}
	})
	blob := make([]byte, 16<<20)
	_, _ = rand.Read(blob)
	must(t, pushBlob(http.DefaultClient, sites[0].gateway.url(), "big", blob)) // the others have it from there
	var lost losses
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range sites {
		all.Go(func() { roam(sites, i, stop, &lost) })
	}
	last := number(t, "FAIRLEAD_DRAINS", 1) - 1
	for i := range last + 1 {
		waitForFronts(t, sites)
		g := sites[i].gateway
		reader := readSlowly(t, g, i, digestOf(blob))
		if i == last {
			drainFirst(t, sites, i)
		}
		g.signal(syscall.SIGTERM)
		waitFor(t, moveBound, "new connections to be refused", func() error {
			conn, err := net.Dial("tcp", g.listen)
			if err == nil {
				conn.Close()
				return errors.New("it is accepted")
			}
			return nil
		})
		if got, err := io.ReadAll(reader); err != nil || digestOf(got) != digestOf(blob) {
			t.Errorf("%s: a blob that was under way: %d bytes, %v", g.name, len(got), err)
		}
		<-g.done
		if code := g.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s: exit code %d", g.name, code)
		}
		g.restart()
	}
	close(stop)
	all.Wait()
	if len(lost.requests) > 0 || lost.asked == 0 {
		t.Errorf("%d of %d requests failed:\n%s", len(lost.requests), lost.asked, strings.Join(lost.why, "\n"))
	}
	t.Logf("figure: %d gateways drained and stopped in turn: %d of %d requests failed", last+1, len(lost.requests), lost.asked)
}

// Where the clients of the regions are: prefixes that are among the first which a replica that is back gets again.
var clientNets = []int{2, 45, 19}

func regionOf(i int) string { return fmt.Sprintf("127.0.%d.0/24", clientNets[i]) }
func clientOf(i int) string { return fmt.Sprintf("127.0.%d.7", clientNets[i]) }

func waitForFronts(t *testing.T, sites []*site) {
	waitFor(t, moveBound, "all fronts and members", func() error {
		for i, s := range sites {
			if n := len(s.gateway.members(t)); n != len(sites) {
				return fmt.Errorf("%s has %d members", s.gateway.name, n)
			}
			for j := range sites {
				if got, err := addressOf(sites[j].gateway.dns, regionOf(i)); err != nil || got != s.ip {
					return fmt.Errorf("%s names %s for region %d: %w", sites[j].gateway.name, got, i, err)
				}
			}
		}
		return nil
	})
}

// drainFirst has a gateway leave DNS by command, take that back, and leave again. It serves meanwhile.
func drainFirst(t *testing.T, sites []*site, i int) {
	g, other := sites[i].gateway, sites[(i+1)%len(sites)].gateway
	for _, step := range []struct {
		args  []string
		named bool
	}{{[]string{"drain"}, false}, {[]string{"drain", "--cancel"}, true}, {[]string{"drain"}, false}} {
		if out, code := g.asks(t, step.args...); code != 0 {
			t.Fatalf("%v: %s", step.args, out)
		}
		waitFor(t, moveBound, fmt.Sprintf("what follows on %v", step.args), func() error {
			for _, asked := range []*gateway{g, other} {
				if got, err := addressOf(asked.dns, regionOf(i)); err != nil || (got == sites[i].ip) != step.named {
					return fmt.Errorf("%s names %s: %w", asked.name, got, err)
				}
			}
			out, _ := other.asks(t, "cluster", "members")
			if strings.Contains(out, "draining") == step.named {
				return errors.New(out)
			}
			if code, _, err := g.askAdmin("/readyz"); err != nil || (code == http.StatusOK) != step.named {
				return fmt.Errorf("readyz: %d, %w", code, err)
			}
			return nil
		})
	}
	if err := ping(g.listen); err != nil {
		t.Errorf("a client that comes to a gateway which drains: %v", err)
	}
}

// roam asks where the name leads, one request after the other over a connection that is kept for as long as the gateway
// lets it. For each new one the name is looked up, as a resolver that keeps to the TTL has it.
func roam(sites []*site, region int, stop <-chan struct{}, lost *losses) {
	_, port, _ := net.SplitHostPort(sites[0].gateway.listen)
	var address string
	var until time.Time
	client := &http.Client{Timeout: patient(10 * time.Second), Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			for i := 0; i < len(sites) && time.Now().After(until); i++ {
				answer, err := askDNS("udp", sites[(region+i)%len(sites)].gateway.dns, hostname, dns.TypeA, regionOf(region))
				if err == nil && len(answer.Answer) == 1 {
					a := answer.Answer[0].(*dns.A)
					address, until = a.A.String(), time.Now().Add(time.Duration(a.Hdr.Ttl)*time.Second)
				}
			}
			return from(clientOf(region)).DialContext(ctx, "tcp", net.JoinHostPort(address, port))
		},
	}}
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-stop:
			tick.Stop()
			client.CloseIdleConnections()
			return
		case <-tick.C:
		}
		at := time.Now()
		response, err := client.Get("http://" + hostname + "/v2/")
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d, %w", response.StatusCode, err)
			}
		}
		lost.request(at, err)
	}
}

// readSlowly asks for a blob and returns when its answer has begun. The rest of it stays with the gateway until it is
// read.
func readSlowly(t *testing.T, g *gateway, region int, digest string) io.Reader {
	t.Helper()
	conn, err := from(clientOf(region)).DialContext(t.Context(), "tcp", g.listen)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.(*net.TCPConn).SetReadBuffer(64<<10))
	fmt.Fprintf(conn, "GET /v2/big/blobs/%s HTTP/1.1\r\nHost: %s\r\n\r\n", digest, hostname)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	begin := make([]byte, 1000)
	if _, err := io.ReadFull(response.Body, begin); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	return io.MultiReader(bytes.NewReader(begin), response.Body)
}
