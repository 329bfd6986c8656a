package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// htpasswd is user:password with bcrypt of the least cost, since every push asks for it many times.
const htpasswd = "user:$2a$04$0PGy6uOO89QbSUeIvnehZ.SZajLBlqW/ZqB9JW.MV3lwhE1S5egm."

// startLocked is a distribution registry that wants a password.
func startLocked(t testing.TB, name string) *registry {
	t.Helper()
	file := filepath.Join(t.TempDir(), "htpasswd")
	writeFile(t, file, htpasswd+"\n")
	return startDistribution(t, name, freeAddress(t, "127.0.0.1"), built(t, registryProgram),
		fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s}}\n", file))
}

// strangerGateway stands before two locked registries and a third upstream that refuses in the other ways.
func strangerGateway(t testing.TB, program string) *gateway {
	t.Helper()
	replicas := withUpstreams(splitReplicas, []*registry{startLocked(t, "westus"), startLocked(t, "eastus"),
		{address: startFake(t, refusal).address}})
	return startProgram(t, program, "gateway", "127.0.0.1", file{health: "{fronts: false}", networks: splitNetworks,
		replicas: replicas})
}

// TestStranger: who may not push can not decide where a repository's writes go.
func TestStranger(t *testing.T) {
	t.Parallel()
	g := strangerGateway(t, built(t, fairleadProgram))
	fronts := strangerFronts(t, g)
	img := newImage(t, "amd64")
	refused := func(via front, repository string) {
		t.Helper()
		before := g.leases(t)
		for _, tool := range []func() error{
			func() error { return cranePush(t, img, via.address+"/"+repository+":"+imageTag) },
			func() error {
				ref := via.address + "/" + repository + ":" + imageTag
				_, err := regctl(t, ref, "image", "copy", "ocidir://"+img.dir+":"+imageTag, ref)
				return err
			},
		} {
			if tool() == nil {
				t.Errorf("a push to %s without credentials was accepted", repository)
			}
		}
		if after := g.leases(t); !maps.Equal(before, after) {
			t.Errorf("a refused push to %s changed the leases from %v to %v", repository, before, after)
		}
	}
	refused(fronts[0], "app")
	refused(fronts[1], "app")
	for _, r := range refusals {
		refused(fronts[2], r.prefix+"/app")
	}

	pushAs(t, img, fronts[1].address+"/app:"+imageTag)
	if got := g.leases(t); !maps.Equal(got, map[string]string{"app": "eastus"}) {
		t.Fatalf("leases after a push that was accepted: %v", got)
	}
	refused(fronts[0], "app")
	refused(fronts[2], "app")
	pushAs(t, newImage(t, "amd64"), fronts[0].address+"/app:v2")
	if got := g.leases(t)["app"]; got != "eastus" {
		t.Errorf("the owner is now %s", got)
	}
}

func strangerFronts(t testing.TB, g *gateway) []front {
	var fronts []front
	for n := range splitNetworks {
		fronts = append(fronts, connectionFront(t, fmt.Sprintf("127.0.%d.1", n+1),
			dialAlways(fmt.Sprintf("127.0.%d.7", n+1), g.listen)))
	}
	return fronts
}

// pushAs pushes with the credentials that the registries accept.
func pushAs(t testing.TB, img image, ref string) {
	t.Helper()
	host, _, _ := strings.Cut(ref, "/")
	env := noCredentials(t)
	_, err := command(t, env, built(t, craneProgram), "auth", "login", host, "-u", "user", "-p", "password")
	must(t, err)
	_, err = command(t, env, built(t, craneProgram), "--insecure", "push", img.dir, ref)
	must(t, err)
}

// Bounds of what many refused pushes may leave behind: what the collector's pace adds and takes away. A lease or a
// goroutine for each of 100,000 would pass them by far.
const (
	maxHeapGrowth      = 16 << 20
	maxResidentGrowth  = 48 << 20
	maxGrownGoroutines = 200
)

// TestStrangerMemory: refused pushes to ever new repositories leave nothing behind.
func TestStrangerMemory(t *testing.T) {
	n := few(4_000, 100_000)
	g := strangerGateway(t, built(t, shippedProgram))
	refuseMany(t, g, n/20) // fills pools and tables of the runtime
	before := memoryOf(t, g)
	began := time.Now()
	refuseMany(t, g, n)
	took := time.Since(began)
	if got := g.leases(t); len(got) != 0 {
		t.Errorf("%d leases, of %v and others", len(got), firstOf(got))
	}
	var after memory
	waitFor(t, startBound, "memory to be given back", func() error {
		after = memoryOf(t, g)
		return after.within(before)
	})
	t.Logf("figure: %d refused requests in %v; before: %v; after: %v", n, took.Round(time.Second), before, after)
}

func firstOf(m map[string]string) string {
	for k := range m {
		return k
	}
	return ""
}

// memory are the figures that matter, in bytes.
type memory struct{ heap, resident, goroutines int }

func memoryOf(t testing.TB, g *gateway) memory {
	return memory{
		heap:       int(g.metric(t, "go_memstats_heap_inuse_bytes")),
		resident:   g.residentKiB(t) << 10,
		goroutines: int(g.metric(t, "go_goroutines")),
	}
}

func (m memory) String() string {
	return fmt.Sprintf("heap %d MiB, resident %d MiB, %d goroutines", m.heap>>20, m.resident>>20, m.goroutines)
}

func (m memory) within(before memory) error {
	if m.heap-before.heap > maxHeapGrowth || m.resident-before.resident > maxResidentGrowth ||
		m.goroutines-before.goroutines > maxGrownGoroutines {
		return fmt.Errorf("from %v to %v", before, m)
	}
	return nil
}

// refuseMany sends n requests that push, each to a repository of its own and from one of three regions, over 16
// connections that are kept.
func refuseMany(t *testing.T, g *gateway, n int) {
	t.Helper()
	const connections = 16
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			if err := refuseOver(g.listen, fmt.Sprintf("127.0.%d.7", 1+c%3), n/connections); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func refuseOver(gateway, client string, n int) error {
	conn, err := from(client).DialContext(context.Background(), "tcp", gateway)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for i := range n {
		if err := refuseOne(conn, answers, refusals[i%len(refusals)].prefix, i); err != nil {
			return fmt.Errorf("request %d of %s: %w", i, client, err)
		}
	}
	return nil
}

func refuseOne(conn net.Conn, answers *bufio.Reader, prefix string, i int) error {
	if err := conn.SetDeadline(time.Now().Add(patient(startBound))); err != nil {
		return err
	}
	request := pushRequest(fmt.Sprintf("%s/%x", prefix, rand.Uint64()), i)
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	response, err := http.ReadResponse(answers, &http.Request{Method: request[:strings.IndexByte(request, ' ')]})
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return nil
	}
	return fmt.Errorf("status %d to %q", response.StatusCode, request)
}

// pushRequest is one of those that a push consists of.
func pushRequest(repository string, i int) string {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	switch i % 4 {
	case 0:
		return "HEAD /v2/" + repository + "/blobs/" + digest + " HTTP/1.1\r\nHost: " + hostname + "\r\n\r\n"
	case 1:
		return "PUT /v2/" + repository + "/manifests/v1 HTTP/1.1\r\nHost: " + hostname +
			"\r\nContent-Type: " + typeManifest + "\r\nContent-Length: 2\r\n\r\n{}"
	case 2:
		return "DELETE /v2/" + repository + "/manifests/" + digest + " HTTP/1.1\r\nHost: " + hostname + "\r\n\r\n"
	}
	return "POST /v2/" + repository + "/blobs/uploads/ HTTP/1.1\r\nHost: " + hostname + "\r\nContent-Length: 0\r\n\r\n"
}
