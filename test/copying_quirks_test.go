package test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCopyingQuirks: what is pushed to one replica comes whole to the other, with the type that it was pushed with,
// also where one of the two does what the spec leaves open, or what real registries and those before them do all the
// same. Each quirk has a repository of its own.
func TestCopyingQuirks(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name           string
		source, target quirk
		pad            int // bytes that the manifest is larger by
	}{
		{name: "blobs-without-length", source: onAnswer(without("Content-Length", "/blobs/sha256:"))},
		{name: "blobs-without-length-or-head", source: both(onAnswer(without("Content-Length", "/blobs/sha256:")),
			refusesHead)},
		{name: "blobs-compressed", source: compressed("/blobs/sha256:")},
		{name: "json-compressed", source: compressed("/manifests/")},
		{name: "charset", source: onAnswer(called(func(was string) string { return was + "; charset=utf-8" })),
			target: strictTypes},
		{name: "application-json", source: onAnswer(called(func(string) string { return "application/json" })),
			target: strictTypes},
		{name: "text-plain", source: onAnswer(called(func(string) string { return "text/plain; charset=utf-8" })),
			target: strictTypes},
		{name: "no-digests", source: onAnswer(without("Docker-Content-Digest", "/manifests/")),
			target: onAnswer(without("Docker-Content-Digest", "/manifests/"))},
		{name: "first-accept-line", source: firstAccept, target: firstAccept},
		{name: "manifest-of-5-mib", pad: 5 << 20},
		{name: "no-referrers-api", source: refusesReferrers, target: refusesReferrers},

		{name: "manifest-put-202", target: onAnswer(answered(http.MethodPut, "/manifests/", http.StatusAccepted))},
		{name: "manifest-put-200", target: onAnswer(answered(http.MethodPut, "/manifests/", http.StatusOK))},
		{name: "post-200", target: onAnswer(answered(http.MethodPost, "/uploads", http.StatusOK))},
		{name: "patch-204", target: onAnswer(answered(http.MethodPatch, "/uploads/", http.StatusNoContent))},
		{name: "patch-201", target: onAnswer(answered(http.MethodPatch, "/uploads/", http.StatusCreated))},
		{name: "commit-204", target: onAnswer(answered(http.MethodPut, "/uploads/", http.StatusNoContent))},
		{name: "commit-202", target: onAnswer(answered(http.MethodPut, "/uploads/", http.StatusAccepted))},
		{name: "unknown-is-401", target: hidesUnknown(http.StatusUnauthorized)},
		{name: "unknown-is-403", target: hidesUnknown(http.StatusForbidden)},
		{name: "large-chunks-only", target: onAnswer(func(r *http.Request, status int, h http.Header) int {
			if r.Method == http.MethodPost {
				h.Set("OCI-Chunk-Min-Length", "262144")
			}
			return status
		})},
		{name: "small-bodies-only", target: smallBodies(tooLarge)},
		{name: "small-bodies-only-cut-off", target: smallBodies(func(http.ResponseWriter) { panic(http.ErrAbortHandler) })},
	}
	sources, targets := map[string]quirk{}, map[string]quirk{}
	for _, row := range rows {
		sources[row.name], targets[row.name] = row.source, row.target
	}
	source, target := startQuirky(t, "127.0.0.1", perRepository(sources)),
		startQuirky(t, "127.0.0.1", perRepository(targets))
	replicas := []replica{splitReplicas[0], splitReplicas[2]}
	for i, upstream := range []string{source, target} {
		replicas[i].upstream, replicas[i].address = "http://"+upstream, fmt.Sprintf("127.0.0.%d", 11+i)
	}
	g := startGateway(t, "gateway", "127.0.0.1", file{
		here: replicas[0].name, health: "{fronts: false}", networks: splitNetworks, replicas: replicas,
		replication: copyAll,
	})
	client := newRegional(t, 1, g)
	pushed := map[string]descriptor{}
	for _, row := range rows {
		pushed[row.name] = client.pushPadded(t, row.name, row.pad)
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			waitFor(t, startBound, "the copy", func() error {
				return copied("http://"+target, row.name,
					pushed[row.name])
			})
		})
	}
	if out, code := fairlead(t, "audit", "--admin", "http://"+g.admin); code != 0 {
		t.Errorf("the audit: %d, %s", code, out)
	}
}

// pushPadded pushes an image with a layer of 1 MB.
func (c regional) pushPadded(t testing.TB, repository string, pad int) descriptor {
	t.Helper()
	layer, config := make([]byte, 1_000_000), []byte(`{"os":"linux"}`)
	_, _ = rand.Read(layer[:500_000]) // the rest compresses well
	doc := document{SchemaVersion: 2, MediaType: typeManifest,
		Layers: []descriptor{{MediaType: typeLayer, Digest: digestOf(layer), Size: int64(len(layer))}}}
	doc.Config = &descriptor{MediaType: typeConfig, Digest: digestOf(config), Size: int64(len(config))}
	for _, blob := range [][]byte{layer, config} {
		must(t, c.pushBlob(repository, blob))
	}
	manifest := append(encode(t, doc), bytes.Repeat([]byte(" "), pad)...)
	_, err := c.send(http.MethodPut, "/v2/"+repository+"/manifests/v1", typeManifest, manifest, http.StatusCreated)
	must(t, err)
	return descriptor{MediaType: typeManifest, Digest: digestOf(manifest), Size: int64(len(manifest))}
}

// copied is nil when a registry has the image by its tag, whole and with its type.
func copied(base, repository string, want descriptor) error {
	response, err := plain.Get(base + "/v2/" + repository + "/manifests/v1")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || digestOf(body) != want.Digest ||
		response.Header.Get("Content-Type") != want.MediaType {
		return fmt.Errorf("%d, %d bytes of %s, %w", response.StatusCode, len(body), response.Header.Get("Content-Type"),
			err)
	}
	_, doc, err := getManifest(base, repository, want.Digest)
	if err != nil {
		return err
	}
	for _, blob := range doc.blobs() {
		if err := getBlob(base, repository, blob); err != nil {
			return err
		}
	}
	return nil
}

// perRepository gives each repository its quirk.
func perRepository(quirks map[string]quirk) quirk {
	return func(registry http.Handler) http.Handler {
		handlers := map[string]http.Handler{}
		for repository, q := range quirks {
			if q != nil {
				handlers[repository] = q(registry)
			}
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			repository, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
			if h := handlers[repository]; h != nil {
				h.ServeHTTP(w, r)
				return
			}
			registry.ServeHTTP(w, r)
		})
	}
}

func both(outer, inner quirk) quirk {
	return func(registry http.Handler) http.Handler { return outer(inner(registry)) }
}

// unless does something else for some requests.
func unless(meant func(r *http.Request) bool, do func(w http.ResponseWriter, r *http.Request,
	registry http.Handler)) quirk {
	return func(registry http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if meant(r) {
				do(w, r, registry)
				return
			}
			registry.ServeHTTP(w, r)
		})
	}
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// without leaves a field out of answers to reads. Without a length a body goes in chunks.
func without(field, path string) func(*http.Request, int, http.Header) int {
	return func(r *http.Request, status int, h http.Header) int {
		if reads(r) && strings.Contains(r.URL.Path, path) {
			h.Del(field)
		}
		return status
	}
}

// called calls manifests something else when they are read.
func called(other func(was string) string) func(*http.Request, int, http.Header) int {
	return func(r *http.Request, status int, h http.Header) int {
		if reads(r) && strings.Contains(r.URL.Path, "/manifests/") && status == http.StatusOK {
			h.Set("Content-Type", other(h.Get("Content-Type")))
		}
		return status
	}
}

// answered gives successes another status.
func answered(method, path string, with int) func(*http.Request, int, http.Header) int {
	return func(r *http.Request, status int, h http.Header) int {
		if r.Method == method && strings.Contains(r.URL.Path, path) && status/100 == 2 {
			return with
		}
		return status
	}
}

// refusesHead also says nothing of lengths then.
var refusesHead = unless(func(r *http.Request) bool { return r.Method == http.MethodHead },
	func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusMethodNotAllowed)
	})

var refusesReferrers = unless(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") },
	func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusForbidden)
	})

// compressed sends gzip to whoever asks for it, and to whoever does not.
func compressed(path string) quirk {
	return unless(func(r *http.Request) bool {
		return r.Method == http.MethodGet &&
			strings.Contains(r.URL.Path, path)
	}, func(w http.ResponseWriter, r *http.Request, registry http.Handler) {
		answer := httptest.NewRecorder()
		r.Header.Del("Range") // of what is compressed
		registry.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(answer.Code)
		z := gzip.NewWriter(w)
		_, _ = z.Write(answer.Body.Bytes())
		_ = z.Close()
	})
}

// strictTypes takes manifests by the types that the spec has, and no others.
var strictTypes = unless(func(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") &&
		r.Header.Get("Content-Type") != typeManifest
}, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.WriteHeader(http.StatusUnsupportedMediaType)
})

// firstAccept has manifests for those who name their type in the first Accept line.
var firstAccept = unless(func(r *http.Request) bool {
	return reads(r) && strings.Contains(r.URL.Path, "/manifests/") && r.Header.Get("Accept") != "" &&
		!strings.Contains(r.Header.Get("Accept"), typeManifest)
}, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusNotFound) })

// hidesUnknown says so of what is not there, as those do who tell nobody what there is.
func hidesUnknown(status int) quirk {
	return onAnswer(func(r *http.Request, got int, _ http.Header) int {
		if reads(r) && got == http.StatusNotFound {
			return status
		}
		return got
	})
}

// smallBodies takes 100,000 bytes in one request.
func smallBodies(refuse func(w http.ResponseWriter)) quirk {
	return unless(func(r *http.Request) bool { return r.ContentLength > 100_000 },
		func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.CopyN(io.Discard, r.Body, 10_000)
			refuse(w)
		})
}

func tooLarge(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusRequestEntityTooLarge)
	_, _ = io.WriteString(w, "<html>413 Request Entity Too Large</html>")
}
