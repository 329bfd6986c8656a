package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

var errNotFound = errors.New("not found")

// direct asks registries and gateways without any name, front or cookie.
var direct = &http.Client{Timeout: 30 * time.Second}

var manifestTypes = strings.Join([]string{
	typeManifest, "application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
}, ", ")

// audit finds out what came of a push: which of the registries have the tag, and what those lack of the image.
func audit(ctx context.Context, addresses []string, repository string) (owners, missing []string, err error) {
	for _, address := range addresses {
		lacks, err := lacks(ctx, "http://"+address+"/v2/"+repository, imageTag)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", address, err)
		}
		owners = append(owners, address)
		if len(lacks) > 0 {
			missing = append(missing, fmt.Sprintf("%s has the tag, and %d parts are missing there", address,
				len(lacks)))
		}
	}
	return owners, missing, nil
}

// lacks names what a manifest needs and the repository does not have. The error is errNotFound if it does not have
// the manifest itself.
func lacks(ctx context.Context, repository, reference string) ([]string, error) {
	body, err := get(ctx, repository+"/manifests/"+reference)
	if err != nil {
		return nil, err
	}
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	var missing []string
	for _, child := range doc.Manifests {
		below, err := lacks(ctx, repository, child.Digest)
		if errors.Is(err, errNotFound) {
			below, err = []string{child.Digest}, nil
		}
		if err != nil {
			return nil, err
		}
		missing = append(missing, below...)
	}
	for _, blob := range doc.blobs() {
		content, err := get(ctx, repository+"/blobs/"+blob.Digest)
		switch {
		case errors.Is(err, errNotFound), err == nil && digestOf(content) != blob.Digest:
			missing = append(missing, blob.Digest)
		case err != nil:
			return nil, err
		}
	}
	return missing, nil
}

func (d document) blobs() []descriptor {
	if d.Config == nil {
		return nil
	}
	return append([]descriptor{*d.Config}, d.Layers...)
}

// Retries of what is answered with 5xx: how soon a busy machine answers is not what is asked.
const (
	getTries = 5
	getPause = time.Second
)

func get(ctx context.Context, url string) (body []byte, err error) {
	for range getTries {
		if body, err = getOnce(ctx, url); !errors.Is(err, errBusy) {
			break
		}
		select {
		case <-time.After(getPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return body, err
}

// maxContent is more than any blob has that the lab pushes: a chart has all layers of an image in one.
const maxContent = 1 << 30

var errBusy = errors.New("not now")

func getOnce(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", manifestTypes)
	response, err := direct.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return io.ReadAll(io.LimitReader(response.Body, maxContent))
	case http.StatusNotFound:
		return nil, errNotFound
	}
	err = fmt.Errorf("GET %s: status %d", url, response.StatusCode)
	if response.StatusCode >= 500 {
		err = fmt.Errorf("%w: %w", errBusy, err)
	}
	return nil, err
}
