package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// http1Client is one connection that speaks HTTP/1.1, with as little between it and the socket as can be.
type http1Client struct {
	conn   net.Conn
	reader *bufio.Reader
}

// dialHTTP1 connects to a front, in clear text or TLS, and asks it once, so that what a connection costs is not measured.
func dialHTTP1(ctx context.Context, f *front) (client, error) {
	conn, err := dial(ctx, f, "http/1.1")
	if err != nil {
		return nil, err
	}
	c := &http1Client{conn: conn, reader: bufio.NewReaderSize(conn, 32<<10)}
	if _, err := c.do(http.MethodGet, "/v2/", nil, want{http.StatusOK, 0, ""}); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *http1Client) close() { c.conn.Close() }

func (c *http1Client) do(method, target string, body []byte, w want) (http.Header, error) {
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

func (c *http1Client) send(method, target string, body []byte) error {
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
