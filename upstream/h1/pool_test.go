package h1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// ask returns an answer's body.
func ask(t *testing.T, c *Client, method, url string) (string, error) {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.RoundTrip(out)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// What follows an answer is nobody's answer, in clear text and in TLS, whether it comes with it or later.
func TestNothingFollowsAnAnswer(t *testing.T) {
	secrets := httptest.NewTLSServer(nil)
	defer secrets.Close()
	const secret = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"
	for _, secure := range []bool{false, true} {
		for _, later := range []bool{false, true} {
			for _, method := range []string{"GET", "HEAD"} {
				var conns atomic.Int32
				sent := make(chan bool, 1)
				url := serve(t, func(raw net.Conn) {
					conn := raw
					if secure {
						conn = tls.Server(raw, &tls.Config{Certificates: secrets.TLS.Certificates})
					}
					defer conn.Close()
					first := conns.Add(1) == 1
					for from := bufio.NewReader(conn); ; {
						r, err := http.ReadRequest(from)
						if err != nil {
							return
						}
						answer := "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
						if method == "GET" {
							answer += strings.Repeat(r.URL.Path[1:], 5000)
						}
						if first && !later {
							answer += secret
						}
						_, _ = io.WriteString(conn, answer)
						if first && later {
							_, _ = io.WriteString(conn, secret)
						}
						first = false
						sent <- true
					}
				})
				c := newClient(t)
				if secure {
					url = strings.Replace(url, "http:", "https:", 1)
					c.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test's own
				}
				for _, path := range []string{"/a", "/b"} {
					want := strings.Repeat(path[1:], 5000)
					if method == "HEAD" {
						want = ""
					}
					if got, err := ask(t, c, method, url+path); err != nil || got != want {
						t.Errorf("secure %v, later %v, %s %s: %.20q %v", secure, later, method, path, got, err)
					}
					<-sent
				}
				if n := conns.Load(); n != 2 {
					t.Errorf("secure %v, later %v, %s: %d connections", secure, later, method, n)
				}
			}
		}
	}
}

// waits is a connection whose Close would wait for the other side.
type waits struct{ net.Conn }

func (waits) Close() error { panic("a goodbye is said to a server that may take nothing") }

// A connection that is given up says no goodbye, which in TLS waits for a server that takes nothing.
func TestGivingUpDoesNotWait(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	p := &pool{client: newClient(t), open: 1}
	c := &conn{Conn: waits{near}, line: &line{Conn: near}, pool: p}
	c.fail(io.ErrClosedPipe)
	p.put(c, false)
	if p.open != 0 {
		t.Errorf("%d connections count as open", p.open)
	}
}

// Who comes when all connections are in use waits for one, or for leave to make one.
func TestWaitingForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := 0
		c := &Client{MaxConns: 1, MaxIdle: 1, IdleTimeout: time.Minute}
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			dialled++
			near, far := net.Pipe()
			t.Cleanup(func() { near.Close(); far.Close() })
			return near, nil
		}
		p := c.poolOf(mustURL(t, "http://west"))
		first, err := p.take(t.Context(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan *conn)
		take := func(ctx context.Context, mayRest time.Duration) {
			c, err := p.take(ctx, mayRest)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			got <- c
		}
		go take(t.Context(), time.Hour)
		synctest.Wait()
		p.put(first, true)
		if second := <-got; second != first {
			t.Error("a connection that was given back is not the next one's")
		}
		go take(t.Context(), 0)
		synctest.Wait()
		p.put(first, true)
		if third := <-got; third == first || dialled != 2 {
			t.Errorf("who wants a new one got another, %d dialled", dialled)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go take(ctx, time.Hour)
		synctest.Wait()
		cancel()
		if c := <-got; c != nil || len(p.waiting) != 0 || p.open != 1 {
			t.Errorf("after who waited has left: %d wait, %d open", len(p.waiting), p.open)
		}
		p.put(nil, false)
		if p.open != 0 {
			t.Errorf("%d open at the end", p.open)
		}
	})
}

// What rests for too long is closed, and makes room.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{MaxConns: 9, MaxIdle: 9, IdleTimeout: time.Minute}
		p := c.poolOf(mustURL(t, "http://west"))
		counts := func() (idle, open int, sweeps bool) {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.idle), p.open, p.sweep != nil
		}
		for range 2 {
			near, far := net.Pipe()
			defer far.Close()
			p.open++
			p.put(&conn{line: &line{Conn: near}, pool: p}, true)
			time.Sleep(time.Minute/2 - time.Second)
		}
		if idle, open, _ := counts(); idle != 2 || open != 2 {
			t.Errorf("%d rest, %d open before a minute", idle, open)
		}
		time.Sleep(3 * time.Second)
		if idle, open, sweeps := counts(); idle != 1 || open != 1 || !sweeps {
			t.Errorf("%d rest, %d open after a minute", idle, open)
		}
		time.Sleep(time.Minute)
		if idle, open, sweeps := counts(); idle != 0 || open != 0 || sweeps {
			t.Errorf("%d rest, %d open at the end", idle, open)
		}
	})
}

// What is moved inside the kernel in pieces was there before, and is no sign of life.
func TestLineOfASlowClientInTheKernel(t *testing.T) {
	pipe, err := splice.NewPool(1).Get()
	if err != nil {
		t.Skip(err)
	}
	sent := make(chan bool)
	url := serve(t, func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n")
		for range 100 {
			_, _ = conn.Write(make([]byte, 300)) // together less than a socket's buffer
		}
		close(sent)
		_, _ = io.Copy(io.Discard, conn)
	})
	out, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	response, err := newClient(t).RoundTrip(out)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := response.Body.(*Body)
	<-sent
	for body.Buffered() > 0 {
		_, _ = body.Read(make([]byte, body.Buffered()))
	}
	if _, err := body.Fill(pipe, 100); err != nil {
		t.Fatal(err)
	}
	after := body.conn.line.cameAfter()
	if err := discard(pipe); err != nil {
		t.Fatal(err)
	}
	if _, err := body.Fill(pipe, 1<<20); err != nil {
		t.Fatal(err)
	}
	if body.conn.line.cameAfter() != after {
		t.Error("what had come before is taken for new")
	}
}

// discard empties a pipe.
func discard(pipe *splice.Pipe) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	to, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer to.Close()
	return pipe.Drain(to.(*net.TCPConn))
}
