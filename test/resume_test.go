package test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPullsThroughDeath: the replica that serves a blob is killed, stopped, slowed down to 1 KB/s, or cut off by the
// network in the middle of it. Clients of all kinds get it whole in one answer, and hardly any byte is fetched twice. The
// next replica has only half of it yet.
func TestPullsThroughDeath(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name, why string
		long      bool
		strike    func(nearest *registry, way *wire)
	}{
		{"killed", "broken", false, func(nearest *registry, _ *wire) { nearest.kill() }},
		{"stopped", "", true, func(nearest *registry, _ *wire) { nearest.pause() }},
		{"slow", "slow", true, func(_ *registry, way *wire) { way.slow.Store(true) }},
		{"cut", "broken", true, func(_ *registry, way *wire) { way.cut() }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			if fault.long {
				long(t)
			}
			t.Parallel()
			size := int64(number(t, "FAIRLEAD_PULL_MIB", few(32, 64))) << 20
			registries := startRegistries(t, distributionKind, splitReplicas)
			ways, replicas := wires(t, registries)
			blob := randomBlob(size)
			for _, r := range []*registry{registries[0], registries[2]} {
				must(t, r.putStream("app", blob.open(), size, blob.digest))
			}
			must(t, registries[1].beginUpload("app", io.LimitReader(blob.open(), size/2), size/2))
			gateways := gatewaysOf(t, replicas)
			var reading, all sync.WaitGroup
			struck := make(chan struct{})
			for _, c := range resumers {
				reading.Add(1)
				all.Go(func() {
					if err := c.pull(gateways[c.scheme], blob, reading.Done, struck); err != nil {
						t.Errorf("%s: %v", c.name, err)
					}
				})
			}
			reading.Wait()
			fault.strike(registries[0], ways[0])
			close(struck)
			all.Wait()
			resumed := 0.
			for _, g := range gateways {
				resumed += g.metricOrZero(t, "fairlead_proxy_resumed_total", `why="`+fault.why)
			}
			wanted, sent := int64(0), int64(0)
			for _, c := range resumers {
				wanted += size - c.first
			}
			for _, w := range ways {
				sent += w.sent.Load()
			}
			t.Logf("figure: %s: %d pulls of %d MiB went on at another replica; %.3f of the bytes fetched", fault.name,
				int(resumed), size>>20, float64(sent)/float64(wanted))
			if int(resumed) < len(resumers) {
				t.Errorf("%v of %d pulls went on elsewhere", resumed, len(resumers))
			}
			if sent > wanted+wanted/50+int64(len(resumers))*inSockets {
				t.Errorf("%d bytes were fetched for %d", sent, wanted)
			}
		})
	}
}

// inSockets is what may be lost with a connection: the kernel's buffers on both sides of a wire.
const inSockets = 4 << 20

// beginUpload leaves a blob half there, as a copy does that is under way.
func (r *registry) beginUpload(repository string, content io.Reader, size int64) error {
	response, err := plain.Post(r.url()+"/v2/"+repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	response.Body.Close()
	to, err := response.Location()
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPatch, to.String(), content)
	if err != nil {
		return err
	}
	request.ContentLength = size
	if response, err = plain.Do(request); err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("PATCH: status %d", response.StatusCode)
	}
	return nil
}

// gatewaysOf are one for each scheme.
func gatewaysOf(t *testing.T, replicas []replica) map[string]*gateway {
	certificate, key := selfSigned(t)
	common := file{health: "{fronts: false}", networks: splitNetworks, replicas: replicas, here: replicas[0].name}
	inTLS := common
	inTLS.tls = fmt.Sprintf("{certificate: %q, key: %q}", certificate, key)
	return map[string]*gateway{
		"http":  startGateway(t, "gateway", "127.0.0.1", common),
		"https": startGateway(t, "gateway-tls", "127.0.0.1", inTLS),
	}
}

// resumer is a kind of client.
type resumer struct {
	name, scheme string
	http2        bool
	first        int64 // byte that it wants
}

var resumers = []resumer{
	{"in clear text", "http", false, 0},
	{"the rest, in clear text", "http", false, 1000},
	{"in TLS", "https", false, 0},
	{"in HTTP/2", "https", true, 0},
}

// readBefore is how much is read before something happens to the replica.
const readBefore = 2 << 20

// pull reads a blob, and waits in its middle.
func (p resumer) pull(from *gateway, blob blobSource, reading func(), struck <-chan struct{}) error {
	done := sync.OnceFunc(reading)
	defer done()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!p.http2)
	protocols.SetHTTP2(p.http2)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own
		Protocols: protocols, DisableCompression: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, p.scheme+"://"+from.listen+"/v2/app/blobs/"+blob.digest, nil)
	if err != nil {
		return err
	}
	if p.first > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.first))
	}
	response, err := (&http.Client{Transport: transport, Timeout: patient(startBound)}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	sum, prefix := sha256.New(), blob.open()
	if _, err := io.CopyN(sum, prefix, p.first); err != nil {
		return err
	}
	if _, err := io.CopyN(sum, response.Body, readBefore); err != nil {
		return err
	}
	done()
	<-struck
	n, err := io.Copy(sum, response.Body)
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); err == nil && got != blob.digest {
		err = fmt.Errorf("%d bytes of something else", n)
	}
	if (response.ProtoMajor == 2) != p.http2 {
		return fmt.Errorf("it was %s", response.Proto)
	}
	return err
}

// wire is the way to a registry, which counts what comes from there, and can be slow or cut off.
type wire struct {
	address string
	sent    atomic.Int64
	slow    atomic.Bool

	mu    sync.Mutex
	conns []net.Conn // Guarded by mu.
}

// wires are before each registry.
func wires(t testing.TB, registries []*registry) (ways []*wire, replicas []replica) {
	replicas = withUpstreams(splitReplicas[:len(registries)], registries)
	for i, r := range registries {
		l, err := net.Listen("tcp", freeAddress(t, "127.0.0.1"))
		must(t, err)
		w := &wire{address: l.Addr().String()}
		t.Cleanup(func() { l.Close(); w.cut() })
		go w.serve(l, r.address)
		ways, replicas[i].upstream = append(ways, w), "http://"+w.address
	}
	return ways, replicas
}

func (w *wire) serve(l net.Listener, to string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, in, out)
		w.mu.Unlock()
		go func() {
			_, _ = io.Copy(out, in)
			out.Close()
		}()
		go func() {
			w.bring(in, out)
			in.Close()
		}()
	}
}

// bring passes on what a registry sends.
func (w *wire) bring(in, out net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		if w.slow.Load() {
			buffer = buffer[:100]
			time.Sleep(100 * time.Millisecond) // the rate is what is tried
		}
		n, err := out.Read(buffer)
		if n > 0 {
			if _, err := in.Write(buffer[:n]); err != nil {
				return
			}
			w.sent.Add(int64(n))
		}
		if err != nil {
			return
		}
	}
}

// cut closes all connections. New ones are made.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// blobSource is content that is made rather than held.
type blobSource struct {
	digest string
	size   int64
}

func randomBlob(size int64) blobSource {
	b := blobSource{size: size}
	sum := sha256.New()
	_, _ = io.Copy(sum, b.open())
	b.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return b
}

func (b blobSource) open() io.Reader {
	return io.LimitReader(&counting{}, b.size)
}

// counting is an endless text in which no line stands twice.
type counting struct {
	line string
	n    int
}

func (c *counting) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if c.line == "" {
			c.line = strings.Repeat(fmt.Sprintf("%016x", c.n), 256)
			c.n++
		}
		more := copy(p[n:], c.line)
		c.line = c.line[more:]
		n += more
	}
	return n, nil
}
