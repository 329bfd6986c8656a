package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestThrottledReplica: the nearest replica answers everything with 429 for a while, its probes included, under pulls of
// ten clients. None of them fails, it is left in peace, and it has all of them back afterwards. It is never down.
func TestThrottledReplica(t *testing.T) {
	t.Parallel()
	seconds := number(t, "FAIRLEAD_THROTTLED_SECONDS", 3)
	rate := 100 // pulls in a second
	if seconds > 3 {
		rate = 200
	}
	lasts := time.Duration(seconds) * time.Second
	near, far := startThrottling(t, lasts), startThrottling(t, lasts)
	g := startGateway(t, "gateway", "127.0.0.1", file{
		here: "westus", trusted: fmt.Sprintf("[%s]", flooder), health: "{interval: 1s, timeout: 1s, fronts: false}",
		networks: splitNetworks,
		replicas: []replica{
			{name: "westus", place: "azure/westus", address: "127.0.0.11", upstream: near.url, home: true},
			{name: "canadaeast", place: "azure/canadaeast", address: "127.0.0.12", upstream: far.url},
		},
	})
	p := startPullers(t, g, 10, rate)
	share := func() float64 { return float64(near.asked.Load()) / float64(near.asked.Load()+far.asked.Load()) }
	count := func() {
		near.asked.Store(0)
		far.asked.Store(0)
		p.pulls.Store(0)
	}
	want := func(what string, share func() float64) {
		waitFor(t, moveBound, what, func() error {
			count()
			time.Sleep(time.Second)
			if got := share(); got < 1 {
				return fmt.Errorf("%.3f of the requests", got)
			}
			return nil
		})
	}
	want("the nearest to have all pulls", share)
	count()
	near.begin()
	time.Sleep(lasts)
	pulls, got := p.pulls.Load(), share()
	t.Logf("figure: 429 with Retry-After: %d for %v: %d pulls by 10 clients, %d failed; the replica got %d of %d requests (%.2f %%), %v answered with 429",
		seconds, lasts, pulls, p.failed.Load(), near.asked.Load(), near.asked.Load()+far.asked.Load(), 100*got,
		near.refused.Load())
	if got > 0.05 {
		t.Errorf("it got %.3f of the requests meanwhile", got)
	}
	if near.refused.Load() == 0 || pulls < int64(rate*seconds/10) {
		t.Errorf("%d pulls, %d of them met a 429: nothing was shown", pulls, near.refused.Load())
	}
	want("the nearest to have all pulls again", share)
	p.stop()
	t.Logf("figure: afterwards the replica got %.2f of the requests; %d pulls failed in all", share(), p.failed.Load())
	if n := p.failed.Load(); n > 0 {
		t.Errorf("%d pulls failed, such as: %v", n, p.example.Load())
	}
	if down := g.down(t); len(down) > 0 {
		t.Errorf("%v down", down)
	}
	if n := g.metricOrZero(t, "fairlead_proxy_trouble_total", `replica="westus"`); n > 0 {
		t.Errorf("%v requests met trouble", n)
	}
	if n := g.metric(t, "fairlead_proxy_throttled_total", `replica="westus"`); int64(n) != near.refused.Load() {
		t.Errorf("%v were counted, %d answered", n, near.refused.Load())
	}
}

// throttling is an upstream that has everything, and wants to be asked less for a while.
type throttling struct {
	url     string
	until   atomic.Int64 // in nanoseconds since 1970
	lasts   time.Duration
	asked   atomic.Int64 // by clients
	refused atomic.Int64 // of them
}

func startThrottling(t testing.TB, lasts time.Duration) *throttling {
	f := &throttling{lasts: lasts}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *throttling) begin() { f.until.Store(time.Now().Add(f.lasts).UnixNano()) }

func (f *throttling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	isProbe := r.URL.Path == "/v2/"
	if !isProbe {
		f.asked.Add(1)
	}
	if time.Now().UnixNano() < f.until.Load() {
		if !isProbe {
			f.refused.Add(1)
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(f.lasts.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	w.Header().Set("Content-Type", typeManifest)
	_, _ = io.WriteString(w, "{}") // the least that may be a manifest
}

// pullers are clients that a trusted proxy forwards for.
type pullers struct {
	pulls, failed atomic.Int64
	example       atomic.Value // one of those that failed
	stop          func()
}

// startPullers has so many clients pull a tag and a blob, so many times a second in all, until they are stopped.
func startPullers(t testing.TB, g *gateway, clients, rate int) *pullers {
	ctx, cancel := context.WithCancel(t.Context())
	var p pullers
	var all sync.WaitGroup
	p.stop = func() { cancel(); all.Wait() }
	t.Cleanup(p.stop)
	client := &http.Client{Timeout: patient(30 * time.Second), Transport: &http.Transport{
		DialContext: from(flooder).DialContext, MaxIdleConnsPerHost: clients}}
	for i := range clients {
		all.Go(func() {
			tick := time.NewTicker(time.Second * time.Duration(clients) / time.Duration(rate))
			defer tick.Stop()
			for ctx.Err() == nil {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				p.pulls.Add(1)
				if err := pullAs(client, g, fmt.Sprintf("192.0.2.%d", 1+i)); err != nil {
					p.failed.Add(1)
					p.example.Store(err.Error())
				}
			}
		})
	}
	return &p
}

// pullAs pulls once, and tries nothing twice.
func pullAs(client *http.Client, g *gateway, address string) error {
	for _, path := range []string{"/v2/app/manifests/v1", "/v2/app/blobs/" + digestOf([]byte("{}"))} {
		request, err := http.NewRequest(http.MethodGet, g.url()+path, nil)
		if err != nil {
			return err
		}
		request.Header = manifestTypes.Clone()
		request.Header.Set("X-Forwarded-For", address)
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || string(body) != "{}" {
			return fmt.Errorf("%s: %d %q %w", path, response.StatusCode, body, err)
		}
	}
	return nil
}
