package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
)

// http2Client is one connection whose streams can be used at once. It is net/http's, with the windows and frame sizes
// of its defaults: those of every client in Go, such as containerd's and BuildKit's.
type http2Client struct {
	conn *http.ClientConn
}

// dialHTTP2 connects to a front and asks it once.
func dialHTTP2(ctx context.Context, f *front) (client, error) {
	var only http.Protocols
	only.SetHTTP2(true)
	transport := &http.Transport{Protocols: &only, DisableCompression: true,
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, f, nil, "h2") }}
	conn, err := transport.NewClientConn(ctx, "https", f.setup.listen)
	if err != nil {
		return nil, err
	}
	c := &http2Client{conn}
	if _, err := c.do(http.MethodGet, "/v2/", nil, want{http.StatusOK, -1, ""}); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *http2Client) close() { c.conn.Close() }

func (c *http2Client) do(method, target string, body []byte, w want) (http.Header, error) {
	ctx, stop := context.WithTimeout(context.Background(), requestBound)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, method, "https://"+hostname+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "proxybench")
	if hasBody(method) {
		request.Header.Set("Content-Type", contentType(target))
	} else {
		request.Header.Set("Accept", manifestType)
	}
	response, err := c.conn.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 {
		return nil, fmt.Errorf("%s %s: answered in %s", method, target, response.Proto)
	}
	if err := w.check(response); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	return response.Header, nil
}
