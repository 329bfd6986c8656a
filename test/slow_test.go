package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestSlowClients: who sends headers or a body by single bytes, or takes an answer so, is closed. Meanwhile whoever asks
// is answered, and a push of 20 KB/s goes on to its end. By default clients that send and take nothing are closed after
// 10 s, to be done soon; with FAIRLEAD_SLOW_CONNECTIONS after as long as everywhere, which is 5 min, and those that drip
// after 90 s.
func TestSlowClients(t *testing.T) {
	long(t)
	t.Parallel()
	tool := installed(t, "slowhttptest")
	connections := number(t, "FAIRLEAD_SLOW_CONNECTIONS", 0)
	limits, bound := "{}", 200*time.Second
	if connections == 0 {
		connections, limits, bound = 100, "{silence: 10s}", time.Minute
	}
	g := startProgram(t, built(t, shippedProgram), "gateway", "127.0.0.1", file{
		limits: limits, health: "{fronts: false}", networks: splitNetworks,
		replicas: []replica{{name: "westus", place: "azure/westus", address: "127.0.0.1", upstream: startSink(t),
			home: true}},
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	probes := g.probe(ctx)
	push := g.slowPush(ctx, 20_000)
	before := g.metric(t, openFiles)
	for _, attack := range [][]string{
		{"-H", "-i", "1", "-u", g.url() + "/v2/"},
		{"-B", "-i", "1", "-s", "65536", "-t", "POST", "-u", g.url() + "/v2/app/blobs/uploads/"},
		{"-X", "-n", "1", "-z", "100", "-u", g.url() + "/v2/large/blobs/" + zerosDigest()},
	} {
		start(t, "slowhttptest"+attack[0], nil, tool,
			append(attack, "-c", fmt.Sprint(connections), "-r", "200", "-l", "600")...)
	}
	most := before
	open := func() float64 { n := g.metric(t, openFiles); most = max(most, n); return n }
	waitFor(t, startBound, "slow connections", func() error {
		if n := open(); n < before+2*float64(connections) {
			return fmt.Errorf("%v files are open", n)
		}
		return nil
	})
	began := time.Now()
	waitFor(t, bound, "the slow connections to be closed", func() error {
		if n := open(); n > before+mostIdle {
			return fmt.Errorf("%v files are open", n)
		}
		return nil
	})
	t.Logf("figure: 3 times %d slow connections: %v files open before, %v at most, %v after %v", connections, before,
		most, open(), time.Since(began).Round(time.Second))
	stop()
	asked, answered, slowest := probes()
	t.Logf("figure: %d of %d probes were answered meanwhile, the slowest after %v", answered, asked,
		slowest.Round(time.Millisecond))
	if answered < asked || asked == 0 {
		t.Errorf("%d of %d probes were answered", answered, asked)
	}
	pushed, err := push()
	t.Logf("figure: a push of 20 KB/s went on for %d KB", pushed/1000)
	if err != nil {
		t.Errorf("a push of 20 KB/s ended after %d bytes: %v", pushed, err)
	}
}

const (
	openFiles = "process_open_fds"
	// mostIdle is how many connections to a replica wait for the next request, and some of this test's own.
	mostIdle = 64 + 16
)

// probe asks whether the gateway is there, again and again, by a new connection each, until ctx ends. What it returns
// waits for the last answer.
func (g *gateway) probe(ctx context.Context) func() (asked, answered int, slowest time.Duration) {
	var asked, answered int
	var slowest time.Duration
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client := &http.Client{Timeout: patient(10 * time.Second), Transport: &http.Transport{DisableKeepAlives: true}}
		for ; ctx.Err() == nil; asked++ {
			began := time.Now()
			response, err := client.Get(g.url() + "/v2/")
			if err == nil {
				response.Body.Close()
			}
			if err == nil && response.StatusCode == http.StatusOK {
				answered++
			}
			slowest = max(slowest, time.Since(began))
			pause(ctx, 200*time.Millisecond)
		}
	}()
	return func() (int, int, time.Duration) { <-ended; return asked, answered, slowest }
}

// slowPush pushes a layer at a rate, in bytes per second, until ctx ends. Then it ends the layer and commits it.
func (g *gateway) slowPush(ctx context.Context, rate int) func() (pushed int64, err error) {
	var pushed atomic.Int64
	ended := make(chan error, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DialContext: from("127.0.1.1").DialContext}}
		defer client.CloseIdleConnections()
		location, err := do(client, http.MethodPost, g.url()+"/v2/slow/blobs/uploads/", "", nil, http.StatusAccepted)
		if err == nil {
			body, layer := io.Pipe()
			go func() {
				for part := make([]byte, rate/10); ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
					n, err := layer.Write(part)
					pushed.Add(int64(n))
					if err != nil {
						break
					}
				}
				layer.Close()
			}()
			location, err = stream(client, g.url()+location, body)
			body.Close()
		}
		if err == nil {
			_, err = do(client, http.MethodPut, g.url()+location+"&digest="+digestOf(nil), "", nil, http.StatusCreated)
		}
		ended <- err
	}()
	return func() (int64, error) { err := <-ended; return pushed.Load(), err }
}

// stream is a PATCH whose body comes as it is made.
func stream(client *http.Client, url string, body io.Reader) (location string, err error) {
	request, err := http.NewRequest(http.MethodPatch, url, body)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("%d %s", response.StatusCode, text)
	}
	return response.Header.Get("Location"), nil
}

// pause waits for so long, or until ctx ends.
func pause(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}
