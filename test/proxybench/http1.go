package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// http1Client is one connection that speaks HTTP/1.1, with as little between it and the socket as can be.
type http1Client struct {
	conn   net.Conn
	reader *bufio.Reader
}

// dialHTTP1 connects to a front, in clear text or TLS, and asks it once: what a connection costs is not measured.
func dialHTTP1(ctx context.Context, f *front) (*http1Client, error) { return dialFrom(ctx, f, nil) }

// dialFrom does so from an address; nil: any.
func dialFrom(ctx context.Context, f *front, from net.IP) (*http1Client, error) {
	conn, err := dial(ctx, f, from, "http/1.1")
	if err != nil {
		return nil, err
	}
	c := &http1Client{conn: conn, reader: bufio.NewReaderSize(conn, 32<<10)}
	if _, err := c.do(http.MethodGet, "/v2/", nil, want{http.StatusOK, -1, ""}); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *http1Client) close() { c.conn.Close() }

func (c *http1Client) do(method, target string, body []byte, w want) (http.Header, error) {
	return c.stream(method, target, bytes.NewReader(body), int64(len(body)), w, requestBound)
}

// stream sends a body of a known length as it comes.
func (c *http1Client) stream(method, target string, body io.Reader, length int64, w want,
	bound time.Duration) (http.Header, error) {
	if err := c.conn.SetDeadline(time.Now().Add(bound)); err != nil {
		return nil, err
	}
	if err := c.send(method, target, body, length); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
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

func (c *http1Client) send(method, target string, body io.Reader, length int64) error {
	more := "Accept: " + manifestType
	if hasBody(method) {
		more = fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d", contentType(target), length)
	}
	if _, err := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: proxybench\r\n%s\r\n\r\n", method,
		target, hostname, more); err != nil {
		return err
	}
	_, err := io.Copy(c.conn, body)
	return err
}
