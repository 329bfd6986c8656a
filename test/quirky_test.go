package test

import (
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

// quirk changes what a registry does: it stands before it, as proxies and vendors' front ends do.
type quirk func(registry http.Handler) http.Handler

// startQuirky starts go-containerregistry's registry in this process with its quirks, the first of them outermost.
func startQuirky(t testing.TB, ip string, quirks ...quirk) (address string) {
	t.Helper()
	handler := ggcr.New(ggcr.Logger(log.New(silentWriter{}, "", 0)), ggcr.WithReferrersSupport(true))
	for i := len(quirks) - 1; i >= 0; i-- {
		handler = quirks[i](handler)
	}
	l, err := net.Listen("tcp", freeAddress(t, ip))
	must(t, err)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: silent}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

type silentWriter struct{}

func (silentWriter) Write(p []byte) (int, error) { return len(p), nil }

// onAnswer lets a quirk change the status and header of an answer before they are sent.
func onAnswer(change func(r *http.Request, status int, header http.Header) int) quirk {
	return func(registry http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			registry.ServeHTTP(&changedAnswer{ResponseWriter: w, r: r, change: change}, r)
		})
	}
}

type changedAnswer struct {
	http.ResponseWriter
	r      *http.Request
	change func(r *http.Request, status int, header http.Header) int
	begun  bool
}

func (w *changedAnswer) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		w.ResponseWriter.WriteHeader(w.change(w.r, status, w.Header()))
	}
}

func (w *changedAnswer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.ResponseWriter.Write(p)
}
