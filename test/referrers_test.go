package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

// referrersKind is go-containerregistry's with the referrers API, and with what it leaves out of that: the order, the
// filter, and the two headers (OCI distribution spec 1.1, end-7 and end-12).
var referrersKind = registryKind{"referrers", func(t testing.TB, name, address string) *registry {
	l, err := net.Listen("tcp", address)
	must(t, err)
	server := &http.Server{Handler: withReferrers(ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(silent))),
		ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return &registry{process: &process{name: name}, address: address}
}}

func withReferrers(registry http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"):
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			var m struct{ Subject *descriptor }
			if json.Unmarshal(body, &m) == nil && m.Subject != nil {
				w.Header().Set("OCI-Subject", m.Subject.Digest)
			}
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/referrers/"):
			all := httptest.NewRecorder()
			registry.ServeHTTP(all, r)
			writeReferrers(w, all, r.URL.Query().Get("artifactType"))
			return
		}
		registry.ServeHTTP(w, r)
	}
}

func writeReferrers(w http.ResponseWriter, all *httptest.ResponseRecorder, artifactType string) {
	body := all.Body.Bytes()
	w.Header().Set("Content-Type", all.Header().Get("Content-Type"))
	var index map[string]any
	if all.Code == http.StatusOK && json.Unmarshal(body, &index) == nil {
		found := index["manifests"].([]any)
		field := func(d any, name string) string { s, _ := d.(map[string]any)[name].(string); return s }
		slices.SortFunc(found, func(a, b any) int { return strings.Compare(field(a, "digest"), field(b, "digest")) })
		if artifactType != "" {
			w.Header().Set("OCI-Filters-Applied", "artifactType")
			found = slices.DeleteFunc(found, func(d any) bool { return field(d, "artifactType") != artifactType })
		}
		index["manifests"] = found
		body, _ = json.Marshal(index)
	}
	w.WriteHeader(all.Code)
	_, _ = w.Write(body)
}
