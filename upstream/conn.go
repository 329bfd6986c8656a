package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// framedConn is a connection to a replica that is not used again where something follows an answer without a body: to a
// HEAD, 204 or 304. net/http looks for that only while nobody else waits for the connection, and takes it for the
// answer to the next request: an upload behind such a HEAD was lost.
type framedConn struct {
	net.Conn

	mu    sync.Mutex
	spent error  // why nothing is written to it any more. Guarded by mu.
	head  bool   // the request under way is a HEAD. Guarded by mu.
	asked bool   // a request is under way, and its answer's fields have not ended. Guarded by mu.
	begun []byte // of that answer. Guarded by mu.
}

// methods are those that the gateway sends.
var methods = []string{"GET", "HEAD", "OPTIONS", "POST", "PATCH", "PUT", "DELETE"}

// maxBegun bounds what is kept of an answer's beginning; the transport takes no more fields than half of that.
const maxBegun = 128 << 10

func (c *framedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if err := c.spent; err != nil {
		c.mu.Unlock()
		return 0, err
	}
	if !c.asked && beginsRequest(p) { // and is not the rest of a body, sent when its answer has come already
		c.asked, c.head, c.begun = true, bytes.HasPrefix(p, []byte("HEAD ")), nil
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// spend has the next request fail before any of it is written: net/http sends its fields before it reads of its body.
func (c *framedConn) spend(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spent = why
}

func beginsRequest(p []byte) bool {
	method, _, ok := bytes.Cut(p[:min(len(p), 16)], []byte(" "))
	return ok && slices.Contains(methods, string(method))
}

func (c *framedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asked {
		return n, err
	}
	if extra := c.look(p[:n]); extra > 0 {
		n = withClose(p, n-extra)
	}
	return n, err
}

// look needs mu. It returns how many of the bytes read follow an answer that they may not follow.
func (c *framedConn) look(read []byte) (extra int) {
	c.begun = append(c.begun, read...)
	for c.asked {
		end := endOfFields(c.begun)
		if end < 0 {
			c.asked = len(c.begun) <= maxBegun
			return 0
		}
		status, rest := statusOf(c.begun), len(c.begun)-end
		c.begun = c.begun[end:]
		if strings.HasPrefix(status, "1") && status != "101" {
			continue // another follows, and is the one that counts
		}
		c.asked, c.begun = false, nil
		if c.head || status == "204" || status == "304" {
			return min(rest, len(read))
		}
	}
	return 0
}

const closeField = "Connection: close\r\n"

// withClose tells net/http in the fields that end at n that the connection ends with them. It returns where they end
// then.
func withClose(p []byte, n int) int {
	line := bytes.LastIndexByte(p[:max(n-1, 0)], '\n') + 1 // where the empty line begins
	if n+len(closeField) > len(p) || line == 0 {
		return n
	}
	copy(p[line+len(closeField):], p[line:n])
	copy(p[line:], closeField)
	return n + len(closeField)
}

// endOfFields is where an answer's fields have ended, behind an empty line; -1: they have not.
func endOfFields(text []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(text[from:], '\n')
		if i < 0 {
			return -1
		}
		from += i + 1
		switch rest := text[from:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return from + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return from + 2
		}
	}
}

// statusOf is the status as it stands in the first line.
func statusOf(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	_, rest, _ := strings.Cut(string(line), " ")
	status, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return status
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// useFramedConns has a pool use such connections, in clear text and in TLS.
func useFramedConns(pool *http.Transport) {
	dial := pool.DialContext
	pool.DialContext = dialFramed(dial)
	pool.DialTLSContext = dialFramed(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return handshake(ctx, conn, address, pool)
	})
}

func dialFramed(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &framedConn{Conn: conn}, nil
	}
}

// handshake does what net/http does where it dials itself.
func handshake(ctx context.Context, conn net.Conn, address string, pool *http.Transport) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, pool.TLSHandshakeTimeout)
	defer cancel()
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if pool.TLSClientConfig != nil {
		config = pool.TLSClientConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}
