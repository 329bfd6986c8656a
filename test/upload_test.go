package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
)

// TestUploadKeepsItsReplica sends each part of one upload through another gateway and from another region, as behind
// an address that changes. Nothing but the URL can tell the gateways where it began.
func TestUploadKeepsItsReplica(t *testing.T) {
	t.Parallel()
	for _, kind := range []registryKind{distributionKind, memoryKind} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			registries := startRegistries(t, kind, splitReplicas)
			gateways := splitGateways(t, registries)
			for i := range 2 * len(splitNetworks) {
				uploadFromEverywhere(t, gateways, registries, fmt.Sprintf("app-%d", i), i)
			}
		})
	}
}

func uploadFromEverywhere(t *testing.T, gateways []*gateway, registries []*registry, repository string, first int) {
	t.Helper()
	turn := first
	send := func(method, path string, body []byte, want int) string {
		t.Helper()
		client := fmt.Sprintf("127.0.%d.7", 1+turn%len(splitNetworks))
		location, err := sendFrom(client, method, gateways[turn%len(gateways)].url()+path, body, want)
		if err != nil {
			t.Fatalf("%s %s from %s: %v", method, path, client, err)
		}
		turn++
		return location
	}
	blob := bytes.Repeat([]byte(repository), 1000)
	location := send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", nil, http.StatusAccepted)
	location = send(http.MethodPatch, location, blob, http.StatusAccepted)
	send(http.MethodPut, location+"&digest="+digestOf(blob), nil, http.StatusCreated)

	began := splitReplicas[first%len(splitNetworks)].name
	var has []string
	for _, r := range registries {
		if getBlob(r.url(), repository, descriptor{Digest: digestOf(blob)}) == nil {
			has = append(has, r.name)
		}
	}
	if !slices.Equal(has, []string{began}) {
		t.Errorf("the upload began on %s, the blob is on %v", began, has)
	}
}

// sendFrom sends one request from a client's address over a connection of its own, and returns the answer's Location.
func sendFrom(client, method, url string, body []byte, want int) (location string, err error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	transport := &http.Transport{DialContext: from(client).DialContext, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: patient(startBound)}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if response.StatusCode != want {
		return "", fmt.Errorf("status %d, want %d: %s", response.StatusCode, want, answer)
	}
	return response.Header.Get("Location"), err
}
