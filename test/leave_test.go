package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// TestRestart stops and starts the gateway of a region under load: 100 requests a second of clients that look the
// name up as long as its TTL says, and 2,000 queries a second. Until it has ended no request is refused and no query
// lost. What is lost then, until it is there again, is a figure. FAIRLEAD_RESTARTS is how often.
func TestRestart(t *testing.T) {
	t.Parallel()
	long(t)
	for block, clustered := range []bool{true, false} {
		t.Run(fmt.Sprintf("clustered %t", clustered), func(t *testing.T) {
			t.Parallel()
			sites := startSitesOf(t, built(t, shippedProgram), 20+block, func(i int, f *file) {
				f.state = t.TempDir()
				if clustered {
					f.cluster = fmt.Sprintf("{listen: %q, peers: [%q, %q], name: gw-%d}", clusterAddress(block, i),
						clusterAddress(block, 0), clusterAddress(block, 1), i)
				}
			})
			for range number(t, "FAIRLEAD_RESTARTS", 1) {
				waitFor(t, moveBound, "all fronts", func() error {
					for _, s := range sites {
						if n := s.gateway.metric(t, "fairlead_replica_up"); n < float64(2*len(sites)) {
							return fmt.Errorf("%s: %v are up", s.gateway.name, n)
						}
					}
					return nil
				})
				restartUnderLoad(t, sites)
			}
		})
	}
}

func clusterAddress(block, i int) string { return fmt.Sprintf("127.1.%d.%d:7946", 20+block, i+1) }

func restartUnderLoad(t *testing.T, sites []*site) {
	g := sites[0].gateway
	var lost losses
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { askAround(sites, stop, &lost) })
	all.Go(func() { query(t, g.dns, stop, &lost) })
	time.Sleep(2 * time.Second) // of load before the stop: how long it lasts is the test's, nothing is waited for
	left := time.Now()
	g.signal(syscall.SIGTERM)
	<-g.done
	ended := time.Now()
	g.restart()
	there := time.Now()
	time.Sleep(2 * time.Second) // of load after it
	close(stop)
	all.Wait()
	in := func(of []time.Time, from, to time.Time) (n int) {
		for _, at := range of {
			if !at.Before(from) && at.Before(to) {
				n++
			}
		}
		return n
	}
	gap := 100 * time.Millisecond // what was sent so shortly before the end may be on its way
	before := [2]int{in(lost.requests, time.Time{}, ended.Add(-gap)), in(lost.queries, time.Time{}, ended.Add(-gap))}
	meanwhile := [2]int{in(lost.requests, ended.Add(-gap), there), in(lost.queries, ended.Add(-gap), there)}
	after := [2]int{in(lost.requests, there, there.Add(time.Hour)), in(lost.queries, there, there.Add(time.Hour))}
	t.Logf("figure: %d requests, %d queries; stopped in %v, back in %v; refused or lost before its end %v, until it was back %v, after that %v",
		lost.asked, lost.queried, ended.Sub(left).Round(time.Millisecond), there.Sub(ended).Round(time.Millisecond),
		before, meanwhile, after)
	if before != [2]int{} || after != [2]int{} {
		t.Errorf("refused or lost before %v, after %v\n%s", before, after, strings.Join(lost.why, "\n"))
	}
}

// losses are the times at which what was never answered was sent.
type losses struct {
	mu             sync.Mutex
	asked, queried int
	requests       []time.Time
	queries        []time.Time
	why            []string
}

func (l *losses) request(at time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if err != nil {
		l.requests = append(l.requests, at)
		if len(l.why) < 10 {
			l.why = append(l.why, at.Format(time.TimeOnly)+" "+err.Error())
		}
	}
}

// askAround asks 100 times a second where the name leads, by a resolver that keeps to the TTL and has all nameservers.
func askAround(sites []*site, stop <-chan struct{}, lost *losses) {
	_, port, _ := net.SplitHostPort(sites[0].gateway.listen)
	var address string
	var until time.Time
	var all sync.WaitGroup
	defer all.Wait()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-stop:
			tick.Stop()
			return
		case <-tick.C:
		}
		if now := time.Now(); now.After(until) {
			for i := range sites {
				answer, err := askDNS("udp", sites[(i+1)%len(sites)].gateway.dns, hostname, dns.TypeA, failoverSubnet)
				if err == nil && len(answer.Answer) == 1 {
					a := answer.Answer[0].(*dns.A)
					address, until = a.A.String(), now.Add(time.Duration(a.Hdr.Ttl)*time.Second)
					break
				}
			}
		}
		to := net.JoinHostPort(address, port)
		all.Go(func() {
			at := time.Now()
			lost.request(at, ping(to))
		})
	}
}

// ping asks over a connection of its own.
func ping(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patient(10*time.Second))
	defer cancel()
	conn, err := from(failoverClient).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patient(10 * time.Second)))
	fmt.Fprintf(conn, "GET /v2/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", hostname)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %w", response.StatusCode, err)
	}
	return nil
}

// widen has the kernel keep answers while this process, which runs other tests too, does not read. Only root may.
func widen(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) })
}

// query sends 2,000 queries a second, and counts those that are never answered.
func query(t *testing.T, server string, stop <-chan struct{}, lost *losses) {
	conn, err := net.ListenUDP("udp", nil)
	must(t, err)
	defer conn.Close()
	widen(conn)
	to, err := net.ResolveUDPAddr("udp", server)
	must(t, err)
	packed, err := new(dns.Msg).SetQuestion(dns.Fqdn(hostname), dns.TypeA).Pack()
	must(t, err)
	var mu sync.Mutex
	open := map[uint16]time.Time{}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, _, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if n > 2 {
				mu.Lock()
				delete(open, uint16(buf[0])<<8|uint16(buf[1]))
				mu.Unlock()
			}
		}
	}()
	end := func(older time.Time) {
		mu.Lock()
		defer mu.Unlock()
		for id, at := range open {
			if at.Before(older) {
				delete(open, id)
				lost.queries = append(lost.queries, at)
			}
		}
	}
	began := time.Now()
	for n := 0; ; n++ {
		select {
		case <-stop:
			time.Sleep(2 * time.Second) // after which what has not come is lost
			end(time.Now())
			lost.queried = n
			slices.SortFunc(lost.queries, time.Time.Compare)
			return
		default:
		}
		if n%2000 == 0 {
			end(time.Now().Add(-10 * time.Second))
		}
		// The pace of the load. What a busy machine has kept from being sent is not sent all at once: no queue would
		// hold it.
		due := began.Add(time.Duration(n) * 500 * time.Microsecond)
		time.Sleep(time.Until(due))
		if late := time.Since(due); late > 20*time.Millisecond {
			began = began.Add(late)
		}
		id := uint16(n)
		mu.Lock()
		open[id] = time.Now()
		mu.Unlock()
		packed[0], packed[1] = byte(id>>8), byte(id)
		_, _ = conn.WriteToUDP(packed, to)
	}
}
