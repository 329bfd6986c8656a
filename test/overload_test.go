package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestShortOfEverything: a gateway that may have 256 files open, 256 MiB and a fifth of a processor, and many times as
// many clients as it has room for. What there is no room for is refused or waits, every name is answered, and once the
// clients are gone all is as before, without anybody's help.
func TestShortOfEverything(t *testing.T) {
	long(t)
	t.Parallel()
	lasts := time.Duration(number(t, "FAIRLEAD_OVERLOAD_SECONDS", 30)) * time.Second
	program := confined(t, built(t, shippedProgram), confinement{memory: littleMemory, processor: 20, files: 256})
	g := startCommand(t, program, "gateway", "127.0.0.1", file{
		health: "{interval: 1s, timeout: 1s, fronts: false}", networks: splitNetworks,
		replicas: []replica{{name: "westus", place: "azure/westus", address: "127.0.0.1", upstream: startSink(t),
			home: true}},
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	names := g.askNames(ctx)
	var codes statuses
	loaded, over := context.WithTimeout(ctx, lasts)
	defer over()
	each(300, func(i int) { overload(loaded, g, i, &codes) })
	waitFor(t, moveBound, "a push after the overload", func() error {
		client := &http.Client{Timeout: patient(10 * time.Second), Transport: &http.Transport{DisableKeepAlives: true}}
		return pushImage(client, g.url(), "app", 1<<20)
	})
	waitFor(t, moveBound, "all replicas to be up", func() error {
		if down := g.down(t); len(down) > 0 {
			return fmt.Errorf("%v down", down)
		}
		return nil
	})
	stop()
	asked, answered, slowest := names()
	peak := g.peakKiB(t)
	t.Logf("figure: 300 clients for %v: answers %v (0: none); %d of %d names answered, the slowest after %v; %d MiB at most; %v connections closed for others, %v refused, %v requests refused",
		lasts, &codes, answered, asked, slowest.Round(time.Millisecond), peak>>10,
		g.metric(t, "fairlead_proxy_idle_connections_closed_total"),
		g.metric(t, "fairlead_proxy_connections_refused_total"),
		g.metric(t, "fairlead_proxy_no_room_total")+g.metric(t, "fairlead_proxy_client_over_share_total"))
	if answered < asked || asked == 0 {
		t.Errorf("%d of %d names were answered", answered, asked)
	}
	if peak<<10 > littleMemory {
		t.Errorf("it held %d MiB", peak>>10)
	}
	if g.ended() {
		t.Fatal("the gateway has ended")
	}
}

// overload pulls, or sends parts of uploads, as fast as it goes, until ctx ends. Every fifteen clients share an address.
func overload(ctx context.Context, g *gateway, i int, codes *statuses) {
	client := &http.Client{Transport: &http.Transport{DialContext: from(fmt.Sprintf("127.0.2.%d", 1+i/15)).DialContext}}
	defer client.CloseIdleConnections()
	part := make([]byte, 256<<10)
	for ctx.Err() == nil {
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, g.url()+"/v2/large/blobs/"+zerosDigest(), nil)
		if i%2 == 0 {
			request, _ = http.NewRequestWithContext(ctx, http.MethodPatch, g.url()+"/v2/app/blobs/uploads/1",
				bytes.NewReader(part))
		}
		response, err := client.Do(request)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			codes.add(0)
			pause(ctx, 100*time.Millisecond)
		default:
			codes.add(response.StatusCode)
			_, _ = io.CopyN(io.Discard, response.Body, 1<<20)
		}
		if err == nil {
			response.Body.Close()
		}
	}
}

// askNames asks for the hostname again and again, each time once, until ctx ends. What it returns waits for the last
// answer.
func (g *gateway) askNames(ctx context.Context) func() (asked, answered int, slowest time.Duration) {
	var asked, answered int
	var slowest time.Duration
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ; ctx.Err() == nil; asked++ {
			began := time.Now()
			answer, err := askDNS("udp", g.dns, hostname, dns.TypeA, "127.0.1.0/24")
			if err == nil && len(answer.Answer) == 1 {
				answered++
			}
			slowest = max(slowest, time.Since(began))
			pause(ctx, 20*time.Millisecond)
		}
	}()
	return func() (int, int, time.Duration) { <-ended; return asked, answered, slowest }
}
