package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// backend speaks as much of the registry API as the load needs, and does nothing that costs: blobs go out by sendfile,
// what is pushed is thrown away. It runs in the process of the load, which is not measured.
type backend struct {
	content
	address string
	file    *os.File // the blob, in memory
	uploads atomic.Int64
	bodies  atomic.Int64 // that are being received
}

// startBackend's ends with the context.
func startBackend(ctx context.Context, c content) (*backend, error) {
	fd, err := unix.MemfdCreate("blob", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "blob")
	if _, err := file.Write(c.blob); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{content: c, address: l.Addr().String(), file: file}
	server := &http.Server{Handler: b, ReadHeaderTimeout: time.Minute, IdleTimeout: 5 * time.Minute}
	go func() { _ = server.Serve(l) }()
	context.AfterFunc(ctx, func() { server.Close() })
	return b, nil
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	path, ours := strings.CutPrefix(r.URL.Path, "/v2/"+repository)
	switch {
	case r.URL.Path == "/v2/" && read:
		w.WriteHeader(http.StatusOK)
	case ours && path == "/blobs/"+b.blobDigest && read:
		b.serveBlob(w, r, b.blobDigest, nil)
	case ours && r.URL.Query().Has("variant") && r.Method == http.MethodGet:
		b.serveVariant(w, r, strings.TrimPrefix(path, "/blobs/"))
	case ours && (path == "/manifests/"+b.manifestDigest || path == "/manifests/"+tag) && read:
		b.serveManifest(w)
	case ours && path == "/blobs/uploads/" && r.Method == http.MethodPost:
		b.location(w, strconv.FormatInt(b.uploads.Add(1), 10), 0)
	case ours && strings.HasPrefix(path, "/blobs/uploads/") && r.Method == http.MethodPatch:
		if n, ok := b.discard(w, r); ok {
			b.location(w, strings.TrimPrefix(path, "/blobs/uploads/"), n)
		}
	case ours && strings.HasPrefix(path, "/blobs/uploads/") && r.Method == http.MethodPut:
		if _, ok := b.discard(w, r); ok {
			digest := r.URL.Query().Get("digest")
			w.Header().Set("Docker-Content-Digest", digest)
			w.Header().Set("Location", "/v2/"+repository+"/blobs/"+digest)
			w.WriteHeader(http.StatusCreated)
		}
	default:
		http.Error(w, `{"errors":[{"code":"UNSUPPORTED"}]}`, http.StatusNotFound)
	}
}

// serveBlob sends the blob, or a variant of it that ends with end.
func (b *backend) serveBlob(w http.ResponseWriter, r *http.Request, digest string, end []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(b.blob)))
	h.Set("Docker-Content-Digest", digest)
	h.Set("Etag", strconv.Quote(digest))
	if r.Method == http.MethodHead {
		return
	}
	own, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", b.file.Fd())) // with an offset of its own
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer own.Close()
	_, _ = io.CopyN(w, own, int64(len(b.blob)-len(end))) // an error is the client's, who sees it
	_, _ = w.Write(end)
}

func (b *backend) serveVariant(w http.ResponseWriter, r *http.Request, asked string) {
	n, err := strconv.ParseInt(r.URL.Query().Get("variant"), 10, 64)
	digest, end, failed := b.variant(n)
	if err != nil || failed != nil || digest != asked {
		http.Error(w, "no such variant", http.StatusBadRequest)
		return
	}
	b.serveBlob(w, r, digest, end)
}

func (b *backend) serveManifest(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", manifestType)
	h.Set("Content-Length", strconv.Itoa(len(b.manifest)))
	h.Set("Docker-Content-Digest", b.manifestDigest)
	h.Set("Etag", strconv.Quote(b.manifestDigest))
	_, _ = w.Write(b.manifest)
}

func (b *backend) location(w http.ResponseWriter, id string, have int64) {
	h := w.Header()
	h.Set("Location", uploadsPath+id)
	h.Set("Docker-Upload-Uuid", id)
	h.Set("Range", fmt.Sprintf("0-%d", max(have-1, 0)))
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
}

// discard reads a body to its end. Of one that breaks off nothing is confirmed.
func (b *backend) discard(w http.ResponseWriter, r *http.Request) (int64, bool) {
	b.bodies.Add(1)
	defer b.bodies.Add(-1)
	n, err := drain(r.Body)
	if err != nil || r.ContentLength >= 0 && n != r.ContentLength {
		http.Error(w, "the body is not whole", http.StatusBadRequest)
		return n, false
	}
	return n, true
}
