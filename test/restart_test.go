package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// clusterRestarts stops and starts each gateway in turn, as an upgrade does, while one push is under way from before
// the first until after the last and others come and go. All reach a gateway as clients of several addresses do: one
// that refuses the connection is passed over.
func clusterRestarts(t *testing.T, gateways []*gateway, registries []*registry) {
	var turn atomic.Int32
	via := connectionFront(t, "127.0.1.1", func(ctx context.Context) (conn net.Conn, err error) {
		first := int(turn.Add(1))
		for i := range gateways {
			if conn, err = from("127.0.1.7").DialContext(ctx, "tcp",
				gateways[(first+i)%len(gateways)].listen); err == nil {
				return conn, nil
			}
		}
		return nil, err
	})
	var over atomic.Bool
	var blobs, pushes int
	var all sync.WaitGroup
	all.Go(func() {
		var err error
		if blobs, err = longPush(via, "rolling", over.Load); err != nil {
			t.Errorf("%v after %d blobs: %v", time.Now().UTC(), blobs, err)
		}
	})
	images := newImages(t, 4)
	all.Go(func() {
		for ; !over.Load(); pushes++ {
			if err := cranePush(t, images[pushes%len(images)], fmt.Sprintf("%s/rolling-%d:v1", via.address,
				pushes)); err != nil {
				t.Errorf("crane push %d: %v", pushes, err)
			}
		}
	})
	restarted := gateways[:few(1, len(gateways))]
	for _, g := range restarted {
		g.signal(syscall.SIGTERM)
		<-g.done
		if code := g.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ended with %v", g.name, g.cmd.ProcessState)
		}
		g.restart()
		waitFor(t, startBound, "all members", func() error {
			if n := len(g.members(t)); n != len(gateways) {
				return fmt.Errorf("%s has %d", g.name, n)
			}
			return nil
		})
	}
	over.Store(true)
	all.Wait()
	wholeOn(t, registries, "rolling", "v1")
	for i := range pushes {
		wholeOn(t, registries, fmt.Sprintf("rolling-%d", i), "v1")
	}
	t.Logf("figure: while %d gateways were restarted in turn, a push of %d blobs over as many connections as requests and %d pushes by crane: all whole", len(restarted), blobs, pushes)
}

// longPush pushes blobs, each request over a connection of its own, until over says so, then a manifest with all of
// them.
func longPush(via front, repository string, over func() bool) (blobs int, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patient(startBound)}
	var layers []descriptor
	for n := 0; n == 0 || !over(); n++ {
		blob := bytes.Repeat([]byte(fmt.Sprintf("%s %d\n", repository, n)), 2000)
		if err := pushBlob(client, via.url(), repository, blob); err != nil {
			return n, err
		}
		layers = append(layers, descriptor{MediaType: typeLayer, Digest: digestOf(blob), Size: int64(len(blob))})
	}
	config := []byte("{}")
	if err := pushBlob(client, via.url(), repository, config); err != nil {
		return len(layers), err
	}
	manifest, err := json.Marshal(document{
		SchemaVersion: 2, MediaType: typeManifest, Layers: layers,
		Config: &descriptor{MediaType: typeConfig, Digest: digestOf(config), Size: int64(len(config))},
	})
	if err == nil {
		_, err = do(client, http.MethodPut, via.url()+"/v2/"+repository+"/manifests/v1", typeManifest, manifest,
			http.StatusCreated)
	}
	return len(layers), err
}

// pushBlob does as docker does: POST, PATCH, PUT.
func pushBlob(client *http.Client, base, repository string, blob []byte) error {
	const octets = "application/octet-stream"
	location, err := do(client, http.MethodPost, base+"/v2/"+repository+"/blobs/uploads/", "", nil, http.StatusAccepted)
	if err == nil {
		location, err = do(client, http.MethodPatch, base+location, octets, blob, http.StatusAccepted)
	}
	if err == nil {
		_, err = do(client, http.MethodPut, base+location+"&digest="+digestOf(blob), octets, nil, http.StatusCreated)
	}
	return err
}

func do(client *http.Client, method, url, mediaType string, body []byte, want int) (location string, err error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode != want {
		return "", fmt.Errorf("%s %s: status %d, want %d: %s", method, url, response.StatusCode, want,
			strings.TrimSpace(string(answer)))
	}
	return response.Header.Get("Location"), err
}
