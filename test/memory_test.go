package test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// littleMemory is what the gateway may have.
const littleMemory = 256 << 20

// TestLittleMemory: whoever has not even logged in makes a gateway hold no more than it has. What there is no room
// for is 503, and who pushes meanwhile goes on.
func TestLittleMemory(t *testing.T) {
	long(t)
	sink := startSink(t)
	certificate, key := selfSigned(t)
	g := startCommand(t, confined(t, built(t, shippedProgram), confinement{memory: littleMemory}), "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks, databases: []string{},
		tls:      fmt.Sprintf("{certificate: %q, key: %q}", certificate, key),
		replicas: []replica{{name: "westus", place: "azure/westus", address: "127.0.0.1", upstream: sink, home: true}},
	})
	if told := g.metric(t, "go_gc_gomemlimit_bytes"); told > littleMemory || told < littleMemory/2 {
		t.Errorf("the collector was told of %v bytes", told)
	}
	began := g.anonymous(t)
	for _, load := range []struct {
		name string
		put  func(g *gateway, hold <-chan struct{}, code func(int))
	}{
		{"200 manifests of 4 MiB at once", manifests},
		{"2000 clients that stay", idlers},
		{"500 slow uploads", slowUploads},
		{"200 HTTP/2 connections that open streams and send", streams},
		{"1000 heads of 60 KiB that do not end", largeHeads},
	} {
		t.Run(load.name, func(t *testing.T) {
			var codes statuses
			most := g.watchMemory(t)
			hold := make(chan struct{})
			loaded := make(chan struct{})
			go func() {
				defer close(loaded)
				load.put(g, hold, codes.add)
			}()
			pushed, failed := 0, 0
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); pushed++ {
				if err := pushThrough(g); err != nil {
					failed++
					t.Log(err)
				}
			}
			close(hold)
			<-loaded
			peak := most()
			t.Logf("figure: %d MiB before, at most %d MiB; answers %v; %d pushes meanwhile, %d failed; %v idle connections closed",
				began>>20, peak>>20, &codes, pushed, failed, g.metric(t,
					"fairlead_proxy_idle_connections_closed_total"))
			if peak > littleMemory {
				t.Errorf("it held %d MiB", peak>>20)
			}
			if failed > 0 || pushed == 0 {
				t.Errorf("%d of %d pushes failed", failed, pushed)
			}
			if g.ended() {
				t.Fatal("the gateway has ended")
			}
		})
	}
}

// statuses counts answers by status; 0: none.
type statuses struct {
	mu sync.Mutex
	of map[int]int
}

func (c *statuses) add(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[int]int{}
	}
	c.of[status]++
}

func (c *statuses) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.of)
}

// anonymous is what a process holds in memory that is not in files, in bytes.
func (g *gateway) anonymous(t testing.TB) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			must(t, err)
			return kb << 10
		}
	}
	t.Fatal("no RssAnon")
	return 0
}

// watchMemory looks often. What it returns ends that, and says the most.
func (g *gateway) watchMemory(t testing.TB) func() int64 {
	var most int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				most = max(most, g.anonymous(t))
			}
		}
	}()
	return func() int64 { close(end); <-ended; return most }
}

// zeros are what the sink has at every path of `large`.
var zeros = make([]byte, 32<<20)

var zerosDigest = sync.OnceValue(func() string { return digestOf(zeros) })

// startSink is a registry that keeps nothing: it takes every push but those to `flood`, which it refuses, and has 32 MiB
// at every path of `large`.
func startSink(t testing.TB) string { return "http://" + serveOn(t, sinkHandler()) }

func sinkHandler() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case strings.HasPrefix(r.URL.Path, "/v2/flood/"):
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/v2/large/") && r.Method == http.MethodGet:
			_, _ = w.Write(zeros)
		case r.Method == http.MethodPost:
			w.Header().Set("Location", r.URL.Path+"1")
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPatch:
			w.Header().Set("Location", r.URL.Path)
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusCreated)
		}
	}
}

// serveOn is the address of an upstream that ends with the test.
func serveOn(t testing.TB, handler http.HandlerFunc) string {
	l, err := net.Listen("tcp", freeAddress(t, "127.0.0.1"))
	must(t, err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: silent, Handler: handler}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// selfSigned is a certificate that nobody trusts, and its key, in files.
func selfSigned(t testing.TB) (certificate, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{hostname}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return certificate, key
}

var insecure = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test's own

func (g *gateway) dialTLS() (*tls.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: patient(20 * time.Second)}, "tcp", g.listen, insecure)
}

// pushThrough pushes a layer of 1 MiB and a manifest.
func pushThrough(g *gateway) error {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure}, Timeout: patient(20 * time.Second)}
	defer client.CloseIdleConnections()
	ask := func(method, at string, body []byte, want int) (string, error) {
		request, err := http.NewRequest(method, at, bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode != want {
			return "", fmt.Errorf("%s %s: %d %s", method, at, response.StatusCode, text)
		}
		return response.Header.Get("Location"), nil
	}
	base := "https://" + g.listen
	location, err := ask(http.MethodPost, base+"/v2/app/blobs/uploads/", nil, http.StatusAccepted)
	if err == nil {
		location, err = ask(http.MethodPatch, base+location, make([]byte, 1<<20), http.StatusAccepted)
	}
	if err == nil {
		_, err = ask(http.MethodPut, base+location, nil, http.StatusCreated)
	}
	if err == nil {
		_, err = ask(http.MethodPut, base+"/v2/app/manifests/v1",
			[]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`),
			http.StatusCreated)
	}
	return err
}

func each(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// largeHeads are sent anew, once in a second, as they are refused or cut.
func largeHeads(g *gateway, hold <-chan struct{}, code func(int)) {
	head := fmt.Sprintf("GET /v2/ HTTP/1.1\r\nHost: %s\r\nAuthorization: %s", hostname, strings.Repeat("a", 60<<10))
	each(1000, func(int) {
		again := time.NewTicker(time.Second)
		defer again.Stop()
		for {
			select {
			case <-hold:
				return
			case <-again.C:
			}
			conn, err := g.dialTLS()
			if err != nil {
				code(0)
				continue
			}
			answered := make(chan struct{})
			go func() {
				select {
				case <-hold:
				case <-answered:
				}
				conn.Close()
			}()
			_, _ = io.WriteString(conn, head)
			status := 0
			if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				status = response.StatusCode
			}
			code(status)
			close(answered)
		}
	})
}

func manifests(g *gateway, hold <-chan struct{}, code func(int)) {
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"a":%q}}`,
		strings.Repeat("a", 4<<20-200))
	for open := true; open; {
		each(200, func(int) {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure},
				Timeout: patient(30 * time.Second)}
			defer client.CloseIdleConnections()
			request, _ := http.NewRequest(http.MethodPut, "https://"+g.listen+"/v2/flood/manifests/v1",
				bytes.NewReader(manifest))
			response, err := client.Do(request)
			if err != nil {
				code(0)
				return
			}
			response.Body.Close()
			code(response.StatusCode)
		})
		select {
		case <-hold:
			open = false
		default:
		}
	}
}

func idlers(g *gateway, hold <-chan struct{}, code func(int)) {
	turn := make(chan struct{}, 64)
	each(2000, func(int) {
		turn <- struct{}{}
		conn, err := g.dialTLS()
		if err != nil {
			<-turn
			code(0)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /v2/ HTTP/1.1\r\nHost: %s\r\n\r\n", hostname)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		<-turn
		if err != nil {
			code(0)
			return
		}
		code(response.StatusCode)
		<-hold
	})
}

func slowUploads(g *gateway, hold <-chan struct{}, code func(int)) {
	turn := make(chan struct{}, 64)
	each(500, func(int) {
		turn <- struct{}{}
		conn, err := g.dialTLS()
		<-turn
		if err != nil {
			code(0)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "PATCH /v2/slow/blobs/uploads/1 HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000000\r\n\r\n",
			hostname)
		go func() {
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				code(response.StatusCode)
			}
		}()
		piece := make([]byte, 64<<10)
		for {
			select {
			case <-hold:
				return
			case <-time.After(500 * time.Millisecond):
				if _, err := conn.Write(piece); err != nil {
					return
				}
			}
		}
	})
}

// streams opens as many streams as it may on each connection, with large fields, and sends as much on them as it may.
func streams(g *gateway, hold <-chan struct{}, code func(int)) {
	turn := make(chan struct{}, 64)
	each(200, func(int) {
		turn <- struct{}{}
		config := insecure.Clone()
		config.NextProtos = []string{"h2"}
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patient(20 * time.Second)}, "tcp", g.listen, config)
		<-turn
		if err != nil {
			code(0)
			return
		}
		defer conn.Close()
		go func() { <-hold; conn.Close() }()
		fmt.Fprint(conn, http2.ClientPreface)
		framer := http2.NewFramer(conn, conn)
		_ = framer.WriteSettings()
		var fields bytes.Buffer
		encoder := hpack.NewEncoder(&fields)
		go func() {
			decoder := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
				if f.Name == ":status" {
					n, _ := strconv.Atoi(f.Value)
					code(n)
				}
			})
			for {
				frame, err := framer.ReadFrame()
				if err != nil {
					conn.Close()
					return
				}
				if headers, ok := frame.(*http2.HeadersFrame); ok {
					_, _ = decoder.Write(headers.HeaderBlockFragment())
				}
			}
		}()
		for stream := uint32(1); stream < 2*100; stream += 2 {
			fields.Reset()
			for _, f := range [][2]string{
				{":method", "PUT"}, {":scheme", "https"}, {":authority", hostname}, {":path", "/v2/flood/manifests/v1"},
				{"x", strings.Repeat("x", 30_000)}, {"content-length", "4000000"},
			} {
				_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			block := fields.Bytes()
			first := block[:min(len(block), 16_000)]
			if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first,
				EndHeaders: len(first) == len(block)}) != nil {
				return
			}
			for rest := block[len(first):]; len(rest) > 0; {
				n := min(len(rest), 16_000)
				if framer.WriteContinuation(stream, n == len(rest), rest[:n]) != nil {
					return
				}
				rest = rest[n:]
			}
			if framer.WriteData(stream, false, make([]byte, 600)) != nil {
				return
			}
		}
		<-hold
	})
}
