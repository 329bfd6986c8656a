package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// requestBound is how long one request may take, with its body.
const requestBound = 2 * time.Minute

// client is one connection that speaks HTTP/1.1, with as little between it and the socket as can be.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
}

// dial connects to a front, in clear text or TLS, and asks it once, so that what a connection costs is not measured.
func dial(ctx context.Context, f *front) (*client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", f.setup.listen)
	if err != nil {
		return nil, err
	}
	if f.setup.tls != nil {
		secure := tls.Client(conn, tlsConfig(f, "http/1.1"))
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	c := &client{conn: conn, reader: bufio.NewReaderSize(conn, 32<<10)}
	if _, err := c.do(http.MethodGet, "/v2/", nil, want{http.StatusOK, 0, ""}); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// cipherSuite is what all peers are set up to use; a connection with another one fails.
const cipherSuite = tls.TLS_AES_128_GCM_SHA256

func tlsConfig(f *front, protocol string) *tls.Config {
	return &tls.Config{RootCAs: f.setup.tls.roots, ServerName: hostname, MinVersion: tls.VersionTLS13,
		NextProtos: []string{protocol},
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.CipherSuite != cipherSuite || s.NegotiatedProtocol != protocol {
				return fmt.Errorf("%s negotiates %s and %q", f.peer.name, tls.CipherSuiteName(s.CipherSuite),
					s.NegotiatedProtocol)
			}
			return nil
		}}
}

// want is what an answer must be.
type want struct {
	status int
	length int64 // of the body; of what a HEAD would get; -1: any
	digest string
}

// do sends a request, with a body unless it is nil, and reads the answer to its end.
func (c *client) do(method, target string, body []byte, w want) (http.Header, error) {
	if err := c.conn.SetDeadline(time.Now().Add(requestBound)); err != nil {
		return nil, err
	}
	if err := c.send(method, target, body); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	defer response.Body.Close()
	if err := w.check(response); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	if response.Close {
		return nil, fmt.Errorf("%s %s: the connection is closed after it", method, target)
	}
	return response.Header, nil
}

func (c *client) send(method, target string, body []byte) error {
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: proxybench\r\n", method, target, hostname)
	if method == http.MethodGet || method == http.MethodHead {
		head.WriteString("Accept: " + manifestType + "\r\n")
	} else {
		head.WriteString("Content-Type: application/octet-stream\r\nContent-Length: " + strconv.Itoa(len(body)) +
			"\r\n")
	}
	head.WriteString("\r\n")
	if _, err := io.WriteString(c.conn, head.String()); err != nil {
		return err
	}
	for len(body) > 0 {
		n, err := c.conn.Write(body[:min(len(body), bufferSize)])
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, target, err)
		}
		body = body[n:]
	}
	return nil
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
func (c *client) push(body []byte, digest string) error {
	location, err := c.beginUpload()
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
	return c.commit(location, nil, digest)
}

// pushAtOnce sends all of a blob with its commit.
func (c *client) pushAtOnce(body []byte, digest string) error {
	location, err := c.beginUpload()
	if err != nil {
		return err
	}
	return c.commit(location, body, digest)
}

func (c *client) beginUpload() (target string, err error) {
	header, err := c.do(http.MethodPost, uploadsPath, nil, want{http.StatusAccepted, -1, ""})
	if err != nil {
		return "", err
	}
	return uploadTarget(header)
}

func (c *client) commit(target string, body []byte, digest string) error {
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
