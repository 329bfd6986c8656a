package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// TestStop: a gateway that is told to stop takes no new connections, and lets an upload that is under way finish.
// SIGHUP stops none: it has the file read.
func TestStop(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, distributionKind, splitReplicas)
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks, replicas: withUpstreams(splitReplicas, registries),
	})
	g.signal(syscall.SIGHUP)
	waitFor(t, startBound, "word of SIGHUP", func() error {
		if !strings.Contains(g.output(), "the file was read again") {
			return errors.New("none")
		}
		return nil
	})
	location := startUpload(t, g, "app")
	blob := bytes.Repeat([]byte("layer"), layerSize/5)
	body, rest := io.Pipe()
	sent := make(chan error, 1)
	go func() { sent <- patch(g.url()+location, body) }()
	_, err := rest.Write(blob[:len(blob)/2])
	must(t, err)
	waitFor(t, startBound, "the upload to be under way", func() error {
		var leases []lease
		g.adminJSON(t, "/leases", &leases)
		if len(leases) != 1 || leases[0].Open == 0 {
			return fmt.Errorf("leases %v", leases)
		}
		return nil
	})

	g.signal(syscall.SIGTERM)
	waitFor(t, startBound, "new connections to be refused", func() error {
		conn, err := net.Dial("tcp", g.listen)
		if err == nil {
			conn.Close()
			return errors.New("it is accepted")
		}
		return nil
	})
	if g.ended() {
		t.Fatal("it ended with an upload under way")
	}
	_, err = rest.Write(blob[len(blob)/2:])
	must(t, err)
	must(t, rest.Close())
	if err := <-sent; err != nil {
		t.Errorf("the upload that was under way: %v", err)
	}
	waitFor(t, startBound, "the gateway to end", func() error {
		if !g.ended() {
			return errors.New("it runs on")
		}
		return nil
	})
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func startUpload(t *testing.T, g *gateway, repository string) (location string) {
	t.Helper()
	response, err := plain.Post(g.url()+"/v2/"+repository+"/blobs/uploads/", "", nil)
	must(t, err)
	response.Body.Close()
	location = response.Header.Get("Location")
	if response.StatusCode != http.StatusAccepted || !strings.HasPrefix(location, "/v2/") {
		t.Fatalf("status %d, Location %q", response.StatusCode, location)
	}
	return location
}

// patch sends a body of a length that nobody knows before. It has no bound of its own: the test ends the body.
func patch(url string, body io.Reader) error {
	request, err := http.NewRequest(http.MethodPatch, url, body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("status %d: %s", response.StatusCode, answer)
	}
	return err
}
