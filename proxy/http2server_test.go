package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestHTTP2Server is for what net/http's server does by itself where it is not ours to wire: bodies both ways, a
// handler's deadlines, interim answers, trailers, and a goodbye to clients that wait.
func TestHTTP2Server(t *testing.T) {
	t.Parallel()
	blob := random(1 << 20)
	reached := make(chan bool, 1)
	handler := http.NewServeMux()
	handler.HandleFunc("GET /blob", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Digest")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = w.Write(blob)
		w.Header().Set("Digest", "sum")
		if r.TLS == nil || r.Context().Value(http.ServerContextKey) == nil {
			t.Error("the request does not know where it came by")
		}
	})
	handler.HandleFunc("POST /blob", func(w http.ResponseWriter, r *http.Request) {
		if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, blob) {
			t.Errorf("%d of %d bytes, %v", len(got), len(blob), err)
		}
	})
	handler.HandleFunc("PUT /slow", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := io.ReadAll(r.Body)
		reached <- err != nil
	})
	client, s := serveTLS(t, handler)

	response, err := client.Get("https://example.com/blob")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Equal(got, blob) || response.ProtoMajor != 2 || response.Trailer.Get("Digest") != "sum" {
		t.Errorf("%s: %d of %d bytes, trailer %v, %v", response.Proto, len(got), len(blob), response.Trailer, err)
	}
	if response, err = client.Post("https://example.com/blob", "", bytes.NewReader(blob)); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	body, end := io.Pipe()
	defer end.Close()
	request, _ := http.NewRequest(http.MethodPut, "https://example.com/slow", body)
	if response, err := client.Do(request); err == nil {
		response.Body.Close()
	}
	if !<-reached {
		t.Error("a read went on after its deadline")
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error("a client that waits was not told to go:", err)
	}
}

// serveTLS is a server with its listener, and a client that speaks HTTP/2 with it.
func serveTLS(t *testing.T, handler http.Handler) (*http.Client, *http.Server) {
	t.Helper()
	keys := httptest.NewTLSServer(nil)
	t.Cleanup(keys.Close)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limiter, log := NewConnLimiter(10, 1, 1<<20, prometheus.NewRegistry()), slog.New(slog.DiscardHandler)
	s := NewServer(handler, keys.TLS, limiter, Memory{}, DefaultLimits().silence, log)
	go func() { _ = s.Serve(Listener(inner, keys.TLS, limiter, nobody, log)) }()
	t.Cleanup(func() { _ = s.Close() })
	trust := keys.Client().Transport.(*http.Transport).TLSClientConfig
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: trust.RootCAs, ServerName: "example.com"},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", inner.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}, s
}
