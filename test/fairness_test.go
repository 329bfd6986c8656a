package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPullsBesideAPush: one client has hundreds of pulls under way, most of which it does not read and some as fast as
// it goes, and another client pushes. The gateway may have so few files open that the pulls could take all connections
// to the replica; over HTTP/2 nothing else bounds them. Each push succeeds, each name is answered, and the replica stays
// up.
func TestPullsBesideAPush(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	const fast = 2
	files, slow, under := few(512, 1024), few(200, 400), int64(few(90, 180)) // of those, the replica gets so many
	for _, c := range []struct{ name, scheme, tls string }{
		{"in clear text", "http", ""},
		{"over HTTP2 and TLS", "https", fmt.Sprintf("{certificate: %q, key: %q}", certificate, key)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.tls == "" { // connections have a share, too
				long(t)
			}
			sink := startLarge(t)
			limited := []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, files), "sh",
				built(t, fairleadProgram)}
			g := startCommand(t, limited, "gateway", "127.0.0.1", file{
				health: "{fronts: false}", networks: splitNetworks, tls: c.tls,
				replicas: []replica{{name: "westus", place: "azure/westus", address: "127.0.0.1", upstream: sink.url,
					home: true}},
			})
			base := c.scheme + "://" + g.listen
			alone := pushTimes(t, base, 3)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var over sync.WaitGroup
			defer over.Wait()
			defer stop()
			slowly, quickly := largePuller(), largePuller()
			for range slow {
				over.Go(func() { pullLarge(ctx, slowly, base, false) })
			}
			waitFor(t, moveBound, "pulls", func() error {
				if now := sink.pulls.Load(); now < under {
					return fmt.Errorf("%d are under way", now)
				}
				return nil
			})
			most := sink.pulls.Load()
			for range fast {
				over.Go(func() { pullLarge(ctx, quickly, base, true) })
			}
			names := g.askNames(ctx)
			beside := pushTimes(t, base, few(5, 20))
			stop()
			asked, answered, slowest := names()
			t.Logf("figure: %d pulls of one client under way at the replica, %d of its own read as fast as it goes: %d of %d pushes of another one succeeded, in %v (median; at most %v), alone in %v; %d of %d names answered, the slowest after %v",
				most, fast, len(beside), few(5, 20), middle(beside), slices.Max(beside), middle(alone), answered, asked,
				slowest.Round(time.Millisecond))
			if answered < asked || asked == 0 {
				t.Errorf("%d of %d names were answered", answered, asked)
			}
			if down := g.down(t); len(down) > 0 {
				t.Errorf("%v down", down)
			}
		})
	}
}

// largePuller has an address of its own, and as many connections as its pulls need.
func largePuller() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: from("127.0.2.1").DialContext, TLSClientConfig: insecure.Clone(), ForceAttemptHTTP2: true}}
}

// pullLarge pulls until ctx ends, one after the other where it reads what it gets. What is refused is asked for again.
func pullLarge(ctx context.Context, client *http.Client, base string, reads bool) {
	for ctx.Err() == nil {
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v2/large/blobs/"+zerosDigest(), nil)
		response, err := client.Do(request)
		if err != nil || response.StatusCode != http.StatusOK {
			pause(ctx, 10*time.Second)
			continue
		}
		if !reads {
			<-ctx.Done()
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

// pushTimes is how long each push took, by one client after the other, each with an address of its own.
func pushTimes(t testing.TB, base string, pushes int) (took []time.Duration) {
	t.Helper()
	for i := range pushes {
		client := &http.Client{Timeout: patient(30 * time.Second), Transport: &http.Transport{
			DialContext: from(fmt.Sprintf("127.0.1.%d", i+1)).DialContext, TLSClientConfig: insecure}}
		began := time.Now()
		must(t, pushImage(client, base, fmt.Sprint("app-", i), 1<<20))
		took = append(took, time.Since(began).Round(time.Millisecond))
		client.CloseIdleConnections()
	}
	return took
}

func middle(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// large is a sink that counts what is pulled from it.
type large struct {
	url   string
	pulls atomic.Int64 // under way
}

func startLarge(t testing.TB) *large {
	var l large
	sink := sinkHandler()
	l.url = "http://" + serveOn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			l.pulls.Add(1)
			defer l.pulls.Add(-1)
		}
		sink(w, r)
	})
	return &l
}
