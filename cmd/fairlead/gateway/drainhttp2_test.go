package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
)

// TestDrainHTTP2: clients with an open HTTP/2 connection lose no request when its gateway drains and then stops. They
// are told that the connection ends (GOAWAY, RFC 9113, section 6.8), go on over another one, and at another gateway
// once nobody listens at this one.
func TestDrainHTTP2(t *testing.T) {
	dir := t.TempDir()
	roots := writeCertificate(t, dir, "registry.contoso.com")
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(registry.Close)
	stays, _ := start(t, registry.Config.Handler,
		fmt.Sprintf(", tls: {certificate: %[1]s/cert.pem, key: %[1]s/key.pem}", dir))
	leaves, g, stop := overTLS(t, dir, registry.URL)

	var connections, asked, elsewhere atomic.Int32
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		connections.Add(1)
		conn, err := new(net.Dialer).DialContext(ctx, network, leaves)
		if err != nil { // as who resolves the name again
			elsewhere.Add(1)
			conn, err = new(net.Dialer).DialContext(ctx, network, stays)
		}
		return conn, err
	}
	ended := make(chan struct{})
	var clients sync.WaitGroup
	for _, method := range []string{http.MethodGet, http.MethodPatch} {
		transport := &http.Transport{
			DialContext: dial, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots},
		}
		t.Cleanup(transport.CloseIdleConnections)
		for range 4 {
			clients.Go(func() {
				for {
					select {
					case <-ended:
						return
					case <-time.After(time.Millisecond):
					}
					if err := askOnce(transport, method, bytes.NewReader([]byte("hello"))); err != nil {
						t.Error(err)
					}
					asked.Add(1)
				}
			})
		}
	}
	after := func(what string, more int32) {
		t.Helper()
		n := asked.Load() + more
		eventually(t, what, func() bool { return asked.Load() >= n })
	}
	slow := &http.Transport{DialContext: dial, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(slow.CloseIdleConnections)
	upload, more := io.Pipe()
	uploaded := make(chan error, 1)
	go func() { uploaded <- askOnce(slow, http.MethodPatch, upload) }()
	_, _ = more.Write([]byte("hello"))
	after("requests before", 100)
	before := connections.Load()
	if err := g.drain(true); err != nil {
		t.Fatal(err)
	}
	after("requests while it drains", 100)
	if connections.Load() == before || elsewhere.Load() > 0 {
		t.Errorf("while it drains: %d connections, %d before, %d elsewhere", connections.Load(), before, elsewhere.Load())
	}
	long := *g.drains.state()
	long.since = long.since.Add(-time.Hour) // it has waited for resolvers
	g.drains.now.Store(&long)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	eventually(t, "nobody listens any more", func() bool { return elsewhere.Load() > 0 })
	time.Sleep(2 * lastRequests) // so that it is in the way of what ends connections
	_, _ = more.Write([]byte(" world"))
	more.Close()
	if err := <-uploaded; err != nil {
		t.Errorf("an upload that was under way: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	after("requests after", 100)
	close(ended)
	clients.Wait()
	t.Logf("%d requests, %d connections, %d elsewhere", asked.Load(), connections.Load(), elsewhere.Load())
}

// askOnce asks by HTTP/2. Only a PATCH has a body.
func askOnce(transport *http.Transport, method string, body io.Reader) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path := "/v2/app/tags/list"
	if method == http.MethodPatch {
		path = "/v2/app/blobs/uploads/1"
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://registry.contoso.com"+path, body)
	if err != nil {
		return err
	}
	if method == http.MethodGet {
		request.Body, request.ContentLength = nil, 0
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		return fmt.Errorf("%s: %s %s, %v", method, response.Proto, response.Status, err)
	}
	return nil
}

// overTLS runs a gateway beside west; somebody at east could take its clients.
func overTLS(t *testing.T, certificates, upstream string) (address string, g *Gateway, stop func() error) {
	t.Helper()
	address = freeAddress(t)
	c, err := configs.Parse(filepath.Join(t.TempDir(), "fairlead.yaml"), fmt.Appendf(nil, `
hostname: registry.contoso.com
here: west
dns: {listen: ["%s"], ttl: 1s}
proxy: {listen: ["%s"], tls: {certificate: %[3]s/cert.pem, key: %[3]s/key.pem}}
admin: {listen: "%[4]s"}
health: {fronts: false}
replicas:
  - {name: west, place: azure/westus, addresses: [192.0.2.1], upstream: "%[5]s", home: true}
%[6]s`, freeAddress(t), address, certificates, freeAddress(t), upstream, otherRegion))
	if err != nil {
		t.Fatal(err)
	}
	if g, err = New(t.Context(), c, "v0", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return address, g, stop
}
