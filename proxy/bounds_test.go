package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

func unlogged(c *rigConfig) { c.Log = slog.New(slog.DiscardHandler) }

// refuseEarly answers before it has read the body, as registries do with a missing token.
func refuseEarly(w http.ResponseWriter, _ *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Length", "2")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, "{}")
}

// A client that announces a body and does not send it is told what there is to say all the same, and
// its connection is closed.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, line, length, want string }{
		{"refused by the replica", "PATCH " + uploads + "1", "Content-Length: 1000000", "401"},
		{"refused by the replica, a small body", "PUT " + uploads + "1", "Content-Length: 1000", "401"},
		{"a manifest, which is read first", "PUT /v2/app/manifests/v1", "Content-Length: 1000", "504"},
		{"a read with a body", "GET " + byDigest, "Content-Length: 10", "401"},
		{"no path of ours", "PUT /metrics", "Content-Length: 10", "404"},
		{"no path of ours, a large body", "PUT /metrics", "Content-Length: 1000000", "404"},
		{"no path of ours, chunks", "PUT /metrics", "Transfer-Encoding: chunked", "404"},
		{"a lost upload", "PATCH " + uploads + "1?fairlead-replica=mars", "Content-Length: 10", "404"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newHastyRig(t, map[string]http.HandlerFunc{"west": refuseEarly}, nil)
			answer, err := io.ReadAll(g.send(plain(test.line, "", test.length)))
			if errors.Is(err, os.ErrDeadlineExceeded) || !bytes.HasPrefix(answer, []byte("HTTP/1.1 "+test.want)) {
				t.Errorf("%q %v", answer, err)
			}
			if g.troubled("west") {
				t.Error("a silent client was taken for a replica in trouble")
			}
		})
	}
}

// A client that waits for 100 Continue hears at once that its body is not wanted, however long the
// window, and is told to go on where it is.
func TestContinue(t *testing.T) {
	expecting := func(g *rig, line, length string) (net.Conn, *bufio.Reader) {
		conn := g.send(plain(line, "", "Expect: 100-continue", "Content-Length: "+length))
		return conn, bufio.NewReader(conn)
	}
	long := func(c *rigConfig) { c.Limits.Window = time.Hour }
	for line, length := range map[string]string{"PATCH " + uploads + "1": "1000000", "PUT " + uploads + "1": "1000"} {
		g := newRig(t, map[string]http.HandlerFunc{"west": refuseEarly}, long)
		_, from := expecting(g, line, length)
		if got, err := from.ReadString('\n'); err != nil || !strings.HasPrefix(got, "HTTP/1.1 401 ") {
			t.Errorf("%s: %q %v", line, got, err)
		}
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": accepts}, long)
	conn, from := expecting(g, "PATCH "+uploads+"1", "3")
	if got, err := from.ReadString('\n'); err != nil || !strings.HasPrefix(got, "HTTP/1.1 100 ") {
		t.Fatalf("%q %v", got, err)
	}
	_, _ = from.ReadString('\n')
	_, _ = io.WriteString(conn, "abc")
	g.want(g.next(from, http.MethodPatch), 202, "west; reason=nearest")
}

// A client asks and asks and reads nothing. Small answers are written by net/http when the handler
// has returned already, large ones in the handler.
func TestClientThatReadsNothingIsCut(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"small answers": 1800, "large answers": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			answer := random(size)
			west := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }
			g := newHastyRig(t, map[string]http.HandlerFunc{"west": west}, unlogged)
			conn := g.send("")
			_ = conn.(*net.TCPConn).SetReadBuffer(4096)
			requests := strings.Repeat("GET /v2/app/blobs/"+digest+" HTTP/1.1\r\nHost: x\r\n\r\n", 100)
			var err error
			for err == nil {
				_, err = io.WriteString(conn, requests)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection was never cut")
			}
		})
	}
}

// The answer begins before the request has ended; when that ends the exchange must not count as
// waiting for a commit again, or its client could read nothing for a quarter of an hour.
func TestAnswerThatBeganBeforeTheBodyEnded(t *testing.T) {
	cut := make(chan bool)
	g := newHastyRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		defer close(cut)
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.WriteHeader(http.StatusAccepted)
		_ = control.Flush()
		_, _ = io.Copy(io.Discard, r.Body)
		for b := random(1 << 20); ; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}}, func(c *rigConfig) { unlogged(c); c.Limits.Commit = time.Hour })
	g.serve(func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	body, end := io.Pipe()
	request, _ := http.NewRequest(http.MethodPatch, g.gateway.URL+uploads+"1", body)
	client := g.gateway.Client()
	client.Timeout = 2 * patience
	answer, err := client.Do(request)
	end.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	await(t, cut, "the end of an answer that nobody reads")
}

// Streams of one connection end in any order, and what bounds one must not touch it once its handler
// has returned: net/http takes the process down for that.
func TestStalledStreams(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method string
		stalls       http.HandlerFunc
	}{
		{"clients stop sending", http.MethodPatch, accepts},
		{"the replica stops sending", http.MethodGet, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newHastyRig(t, map[string]http.HandlerFunc{"west": test.stalls, "east": status(200)}, unlogged)
			var late atomic.Int32
			g.serve(func(s *httptest.Server) {
				s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					of := &lasting{ResponseWriter: w, late: &late}
					defer of.returned.Store(true)
					g.proxy.ServeHTTP(of, r)
				})
				s.EnableHTTP2 = true
				s.StartTLS()
			})
			client := g.gateway.Client()
			client.Timeout = patience
			var timeouts atomic.Int32
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if silentStream(client, test.method, g.gateway.URL+uploads+"1") {
						timeouts.Add(1)
					}
				})
			}
			all.Wait()
			if n := late.Load(); n > 0 {
				t.Errorf("%d streams were touched when their handlers had returned", n)
			}
			if n := timeouts.Load(); n > 0 {
				t.Errorf("%d streams were never ended", n)
			}
			g.set("west", down)
			answer, err := client.Get(g.gateway.URL + byDigest)
			if err != nil || answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
				t.Fatalf("afterwards: %+v %v", answer, err)
			}
			answer.Body.Close()
		})
	}
}

// lasting is a ResponseWriter that gives its handler time to return while a deadline is set, and
// counts when one is set after that.
type lasting struct {
	http.ResponseWriter
	returned atomic.Bool
	late     *atomic.Int32
}

func (l *lasting) Unwrap() http.ResponseWriter { return l.ResponseWriter }

func (l *lasting) SetReadDeadline(t time.Time) error {
	return l.set(http.NewResponseController(l.ResponseWriter).SetReadDeadline, t)
}

func (l *lasting) SetWriteDeadline(t time.Time) error {
	return l.set(http.NewResponseController(l.ResponseWriter).SetWriteDeadline, t)
}

func (l *lasting) set(deadline func(time.Time) error, t time.Time) error {
	for range 1000 {
		if l.returned.Load() {
			l.late.Add(1)
			return nil
		}
		runtime.Gosched()
	}
	return deadline(t)
}

// silentStream sends the beginning of a body and no more, and reads on until the gateway ends it.
func silentStream(client *http.Client, method, url string) (timeout bool) {
	body, begin := io.Pipe()
	defer begin.Close()
	go func() { _, _ = io.WriteString(begin, "abc") }()
	request, _ := http.NewRequest(method, url, body)
	answer, err := client.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	return os.IsTimeout(err)
}

// deadlines notes what was set last on a connection.
type deadlines struct {
	net.Conn
	read, write atomic.Pointer[time.Time]
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read.Store(&t)
	return d.Conn.SetReadDeadline(t)
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write.Store(&t)
	return d.Conn.SetWriteDeadline(t)
}

type noting struct {
	net.Listener
	accepted chan *deadlines
}

func (n noting) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	noted := &deadlines{Conn: conn}
	n.accepted <- noted
	return noted, nil
}

// What bounds one exchange is taken back before the next on the same connection: that one may
// rightly take longer than all that was left of the one before.
func TestNothingIsLeftOnTheConnection(t *testing.T) {
	for _, test := range []struct {
		name, first, body string
		want              int
	}{
		{"a read", "GET " + byDigest, "", 200},
		{"a HEAD", "HEAD " + byDigest, "", 200},
		{"a write", "PUT /v2/app/manifests/v1", "{}", 201},
		{"no path of ours", "PUT /metrics", "{}", 404},
		{"an upload that is lost", "PATCH " + uploads + "1?fairlead-replica=mars", "abc", 404},
		{"a replica that breaks off", "DELETE /v2/broken/manifests/v1", "", 502},
		{"a replica that went down", "DELETE /v2/downed/manifests/v1", "", 504},
	} {
		t.Run(test.name, func(t *testing.T) {
			var g *rig
			last, goOn := make(chan bool, 1), make(chan bool)
			g = newHastyRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				switch {
				case strings.Contains(r.URL.Path, "broken"):
					breakOff(w, r)
				case strings.Contains(r.URL.Path, "downed"):
					g.set("west", down)
					hang(w, r)
				case strings.Contains(r.URL.Path, "last"):
					last <- true
					select {
					case <-goOn:
					case <-r.Context().Done():
					}
				case r.Method == http.MethodPut:
					w.WriteHeader(http.StatusCreated)
				default:
					_, _ = io.WriteString(w, content)
				}
			}}, nil)
			accepted := make(chan *deadlines, 1)
			g.serve(func(s *httptest.Server) { s.Listener = noting{s.Listener, accepted}; s.Start() })
			method, _, _ := strings.Cut(test.first, " ")
			conn := g.send(plain(test.first, test.body))
			from := bufio.NewReader(conn)
			if got := g.next(from, method); got.status != test.want {
				t.Fatalf("%v, want %d", got, test.want)
			}
			g.set("west", func(r *router.Replica) { r.Upstream.Up = true })
			_, _ = io.WriteString(conn, plain("PUT /v2/app/manifests/last", "{}"))
			await(t, last, "the second request")
			noted := <-accepted
			for name, at := range map[string]*time.Time{"read": noted.read.Load(), "write": noted.write.Load()} {
				if at != nil && !at.IsZero() {
					t.Errorf("a %s deadline of the first request is still set", name)
				}
			}
			close(goOn)
			if got := g.next(from, http.MethodPut); got.status != 200 {
				t.Errorf("the second answer: %v", got)
			}
		})
	}
}
