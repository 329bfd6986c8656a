package proxy

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/upstream"
	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// noise is so many bytes that look like nothing else.
func noise(n int, seed uint64) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// What is moved inside the kernel arrives as it was sent, at once with others, beside what is copied, and one request
// after the other on the same connections.
func TestBodiesArriveWhole(t *testing.T) {
	sizes := []int{0, 1, 4 << 10, minSplice - 1, minSplice, minSplice + 1, 1 << 20, 3<<20 + 17}
	var mu sync.Mutex
	put := map[string][32]byte{}
	registry := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			n, _ := strconv.Atoi(r.URL.Query().Get("n"))
			w.Header().Set("Content-Length", strconv.Itoa(n))
			_, _ = w.Write(noise(n, uint64(n)))
			return
		}
		hash := sha256.New()
		n, err := io.Copy(hash, r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		put[r.URL.Query().Get("key")] = [32]byte(hash.Sum(nil))
		mu.Unlock()
		w.Header().Set("Range", fmt.Sprintf("0-%d", n-1))
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusAccepted)
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": registry}, nil)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i, n := range sizes {
				sent, key := noise(n, uint64(worker)), fmt.Sprint(worker, "-", i)
				path := uploads + "1?fairlead-replica=west&key=" + key
				if worker%2 == 1 {
					path = uploads + key + "?fairlead-upload=empty&fairlead-replica=west&key=" + key // small ones are kept
				}
				var body io.Reader = bytes.NewReader(sent)
				if worker == 3 {
					body = io.MultiReader(body) // of unknown length
				}
				if got := g.do("PATCH "+path, body); got.status != http.StatusAccepted {
					t.Errorf("%d bytes: %v %v", n, got, got.err)
				}
				mu.Lock()
				if got := put[key]; got != sha256.Sum256(sent) {
					t.Errorf("%d bytes of worker %d arrived as something else", n, worker)
				}
				mu.Unlock()
				got := g.do(fmt.Sprint("GET /v2/app/blobs/", digest, "?n=", n), nil)
				if got.status != http.StatusOK || got.body != string(noise(n, uint64(n))) || got.err != nil {
					t.Errorf("%d bytes: status %d, %d bytes, %v", n, got.status, len(got.body), got.err)
				}
			}
		})
	}
	all.Wait()
}

// A client that breaks off in the middle of a body leaves the replica with less than it was promised, and never with
// the next request in its place.
func TestABodyThatBreaksOff(t *testing.T) {
	ended := make(chan error, 1)
	registry := func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
		w.WriteHeader(http.StatusAccepted)
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": registry}, nil)
	conn, err := net.Dial("tcp", g.gateway.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PATCH %s1?fairlead-replica=west HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", uploads, 8<<20)
	if _, err := conn.Write(make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := await(t, ended, "the end of the body"); err == nil {
		t.Error("the body has ended well")
	}
}

// A replica that breaks off in the middle of a body breaks the client's connection, too.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	const begun = 1 << 20
	registry := func(w http.ResponseWriter, _ *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		fmt.Fprintf(both, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 8<<20, strings.Repeat("x", begun))
		_ = both.Flush()
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": registry, "east": registry, "europe": registry}, nil)
	got := g.do("GET /v2/app/blobs/"+digest, nil)
	if got.status != http.StatusOK || got.err == nil || len(got.body) > begun {
		t.Errorf("status %d, %d bytes, %v", got.status, len(got.body), got.err)
	}
	if !g.troubled("west") {
		t.Error("nobody heard of it")
	}
}

// spy is a TCP connection that counts what is copied to it.
type spy struct {
	*net.TCPConn
	copied int
}

func (s *spy) TCP() *net.TCPConn { return s.TCPConn }
func (s *spy) Broke(error)       {}

func (s *spy) Write(p []byte) (int, error) {
	s.copied += len(p)
	return s.TCPConn.Write(p)
}

// sink is a TCP connection of which all is thrown away.
func sink(t *testing.T) *spy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &spy{TCPConn: c.(*net.TCPConn)}
}

// mostCopied is what may be copied of a large body: what came with its head, and its last bytes.
const mostCopied = 8<<10 + minSplice

// TestBodiesAreNotCopied: all of a large body in clear text but its ends is moved inside the kernel, both ways.
func TestBodiesAreNotCopied(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux moves bytes between sockets")
	}
	const size = 4 << 20
	pushed, pulled, pipes := sink(t), sink(t), splice.NewPool(2)
	defer pipes.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("PATCH /", func(_ http.ResponseWriter, r *http.Request) {
		x := &exchange{in: r, settings: &Settings{}, proxy: &Proxy{Config: Config{Pipes: pipes}, cache: newContentCache(1<<20, time.Minute)}}
		n, err := x.partBody().begin().(io.WriterTo).WriteTo(pushed)
		if n != size || err != nil {
			t.Errorf("%d bytes were pushed, %v", n, err)
		}
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(make([]byte, size))
	})
	limiter, log := NewConnLimiter(9, 1, 1<<20, prometheus.NewRegistry()), slog.New(slog.DiscardHandler)
	s := httptest.NewUnstartedServer(nil)
	s.Config = NewServer(mux, nil, limiter, Memory{}, DefaultLimits().silence, log)
	s.Listener = Listener(s.Listener, nil, limiter, nobody, log)
	s.Start()
	defer s.Close()
	out, _ := http.NewRequest(http.MethodPatch, s.URL, bytes.NewReader(make([]byte, size)))
	if response, err := http.DefaultClient.Do(out); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	ways := upstream.New(upstream.Config{
		Dial: patience, Patience: patience, Alive: func(string, time.Time) {},
	}, upstream.Settings{Endpoints: []upstream.Endpoint{{Name: "west", URL: mustParse(t, s.URL)}}})
	defer ways.Close()
	in, _ := http.NewRequest(http.MethodGet, s.URL, nil)
	response, err := ways.Send("west", "", in, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := newAnswerBody(t.Context(), func(error) {}, &exchange{}, nil, response.Body)
	if n, err := (&passing{body, pipes, new(atomic.Int64), nil}).WriteTo(pulled); n != size || err != nil {
		t.Errorf("%d bytes were pulled, %v", n, err)
	}
	for name, way := range map[string]*spy{"push": pushed, "pull": pulled} {
		if way.copied > mostCopied {
			t.Errorf("%s: %d bytes were copied", name, way.copied)
		}
	}
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
