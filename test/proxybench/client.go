package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// requestBound is how long one request may take, with its body.
const requestBound = 2 * time.Minute

// client is one connection.
type client interface {
	// do sends a request and reads the answer to its end.
	do(method, target string, body []byte, w want) (http.Header, error)
	close()
}

// hasBody: or one of length 0.
func hasBody(method string) bool { return method != http.MethodGet && method != http.MethodHead }

func contentType(target string) string {
	if strings.Contains(target, "/manifests/") {
		return manifestType
	}
	return "application/octet-stream"
}

// want is what an answer must be.
type want struct {
	status int
	length int64 // of the body; of what a HEAD would get; -1: any
	digest string
}

// check reads the body.
func (w want) check(response *http.Response) error {
	if response.StatusCode != w.status {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("%s instead of %d: %s", response.Status, w.status, text)
	}
	n, err := drain(response.Body)
	if err != nil {
		return err
	}
	if response.Request != nil && response.Request.Method == http.MethodHead {
		n = response.ContentLength
	}
	if w.length >= 0 && n != w.length {
		return fmt.Errorf("%d bytes instead of %d", n, w.length)
	}
	if got := response.Header.Get("Docker-Content-Digest"); w.digest != "" && got != w.digest {
		return fmt.Errorf("digest %q instead of %s", got, w.digest)
	}
	return nil
}

// push is what clients do: an upload is begun, sent in one part to the address that it was given, and committed.
func push(c client, body []byte, digest string) error {
	location, err := beginUpload(c)
	if err != nil {
		return err
	}
	header, err := c.do(http.MethodPatch, location, body, want{http.StatusAccepted, -1, ""})
	if err != nil {
		return err
	}
	if location, err = uploadTarget(header); err != nil {
		return err
	}
	return commit(c, location, nil, digest)
}

// pushAtOnce sends all of a blob with its commit.
func pushAtOnce(c client, body []byte, digest string) error {
	location, err := beginUpload(c)
	if err != nil {
		return err
	}
	return commit(c, location, body, digest)
}

func beginUpload(c client) (target string, err error) {
	header, err := c.do(http.MethodPost, uploadsPath, nil, want{http.StatusAccepted, -1, ""})
	if err != nil {
		return "", err
	}
	return uploadTarget(header)
}

func commit(c client, target string, body []byte, digest string) error {
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	_, err := c.do(http.MethodPut, target+separator+"digest="+url.QueryEscape(digest), body,
		want{http.StatusCreated, -1, digest})
	return err
}

// uploadTarget is where an upload goes on, without the host, since that is known.
func uploadTarget(header http.Header) (string, error) {
	location, err := url.Parse(header.Get("Location"))
	if err != nil {
		return "", err
	}
	if location.Path == "" {
		return "", errors.New("an upload without a Location")
	}
	return location.RequestURI(), nil
}
