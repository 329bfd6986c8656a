package test

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMultiArch pushes two architectures at once from two regions to one repository, and makes an index of them from
// a third. All of it must be on one replica.
func TestMultiArch(t *testing.T) {
	for _, kind := range []registryKind{distributionKind, memoryKind} {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name != distributionKind.name {
				long(t)
			}
			t.Parallel()
			registries := startRegistries(t, kind, splitReplicas)
			g := startGateway(t, "gateway", "127.0.0.1", file{
				health: "{fronts: false}", networks: splitNetworks, replicas: withUpstreams(splitReplicas, registries),
			})
			owners := map[string]int{}
			rounds := few(4, 20)
			for round := range rounds {
				owners[multiarchRound(t, []*gateway{g, g, g}, registries, round)]++
			}
			t.Logf("figure: %d rounds, each whole on one replica: %v", rounds, owners)
		})
	}
}

// multiarchRound returns the name of the replica where all of it ended. Each of the three clients keeps to a gateway.
func multiarchRound(t *testing.T, gateways []*gateway, registries []*registry, round int) string {
	t.Helper()
	repository := fmt.Sprintf("multi-%d", round)
	race := newMeeting(2)
	architectures := []string{"amd64", "arm64"}
	var pushes sync.WaitGroup
	for i, architecture := range architectures {
		img := newImage(t, architecture)
		client := 1 + (round+i)%2 // either region begins
		via := meetingFront(t, fmt.Sprintf("127.0.%d.1", client), fmt.Sprintf("127.0.%d.7", client),
			gateways[client-1].listen, race)
		pushes.Go(func() {
			if err := cranePush(t, img, via.address+"/"+repository+":"+architecture); err != nil {
				t.Error(err)
			}
		})
	}
	pushes.Wait()
	third := connectionFront(t, "127.0.3.1", dialAlways("127.0.3.7", gateways[2].listen)).address + "/" + repository
	makeIndexes(t, third, architectures)
	if t.Failed() {
		t.FailNow()
	}
	owners := map[string]bool{}
	for _, tag := range append(architectures, "by-crane", "by-regctl") {
		h, err := whereIs(registries, repository, tag)
		must(t, err)
		if len(h.owners) != 1 || len(h.missing) > 0 {
			t.Fatalf("%s:%s is on %v, missing there: %v; leases %v", repository, tag, h.owners, h.missing,
				gateways[0].leases(t))
		}
		owners[h.owners[0]] = true
	}
	if len(owners) != 1 {
		t.Fatalf("%s is on %v", repository, owners)
	}
	for owner := range owners {
		return owner
	}
	return ""
}

func makeIndexes(t *testing.T, repository string, architectures []string) {
	appendArgs := []string{"index", "append", "-t", repository + ":by-crane"}
	createArgs := []string{"index", "create", repository + ":by-regctl"}
	for _, architecture := range architectures {
		appendArgs = append(appendArgs, "-m", repository+":"+architecture)
		createArgs = append(createArgs, "--ref", repository+":"+architecture)
	}
	if _, err := crane(t, appendArgs...); err != nil {
		t.Error(err)
	}
	if _, err := regctl(t, repository, createArgs...); err != nil {
		t.Error(err)
	}
}

// meeting lets n callers go on together.
type meeting struct {
	all  sync.WaitGroup
	here chan struct{} // closed when all have come
}

func newMeeting(n int) *meeting {
	m := &meeting{here: make(chan struct{})}
	m.all.Add(n)
	go func() { m.all.Wait(); close(m.here) }()
	return m
}

// meetBound ends a meeting that one of the clients never comes to; what it then did wrong is seen by the test.
const meetBound = 20 * time.Second

func (m *meeting) wait() {
	m.all.Done()
	select {
	case <-m.here:
	case <-time.After(patient(meetBound)):
	}
}

// meetingFront holds a client's first upload POST until those of the others have come.
func meetingFront(t testing.TB, listen, client, gateway string, race *meeting) front {
	transport := &http.Transport{DialContext: from(client).DialContext, DisableCompression: true,
		MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	var first sync.Once
	forward := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      silent,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: gateway})
			r.Out.Host = r.In.Host
		},
	}
	return handlerFront(t, listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/blobs/uploads/") {
			first.Do(race.wait)
		}
		forward.ServeHTTP(w, r)
	}))
}
