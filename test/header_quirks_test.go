package test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// headerQuirk is what a registry, or what stands before it, does with its answers' status and fields; each has a
// repository of its own, of the row's name, at the registry that a push goes to.
type headerQuirk struct {
	name  string
	quirk quirk
	// nil: crane, and what it pushed is copied
	push func(t *testing.T, s quirkySet, img image, repository string) error
}

// quirkySet is a gateway between a registry with quirks, beside it, and one without.
type quirkySet struct {
	g         *gateway
	near, far *registry
}

// TestHeaderQuirks: what is pushed through the gateway to a registry with a quirk is recorded, copied and pulled as
// with any other registry.
func TestHeaderQuirks(t *testing.T) {
	t.Parallel()
	rows := []headerQuirk{
		{"no-digests", onAnswer(func(_ *http.Request, status int,
			h http.Header) int {
			h.Del("Docker-Content-Digest")
			return status
		}), nil},
		{"manifest-is-202", statusOf(http.MethodPut, "/manifests/", http.StatusAccepted), nil},
		{"manifest-is-200", statusOf(http.MethodPut, "/manifests/", http.StatusOK), nil},
		{"part-is-201", statusOf(http.MethodPatch, "/uploads/", http.StatusCreated), nil},
		{"part-is-204", statusOf(http.MethodPatch, "/uploads/", http.StatusNoContent), nil},
		{"begun-is-200", statusOf(http.MethodPost, "/uploads/", http.StatusOK), pushInSteps("&")},
		{"begun-is-201", statusOf(http.MethodPost, "/uploads/", http.StatusCreated), pushInSteps("&")},
		{"part-is-200", statusOf(http.MethodPatch, "/uploads/", http.StatusOK), pushInSteps("&")},
		{"commit-is-200", statusOf(http.MethodPut, "/uploads/", http.StatusOK), pushInSteps("&")},
		{"commit-is-202", statusOf(http.MethodPut, "/uploads/", http.StatusAccepted), pushInSteps("&")},
		{"commit-is-204", statusOf(http.MethodPut, "/uploads/", http.StatusNoContent), pushInSteps("&")},
		{"naive-query", onAnswer(func(_ *http.Request, status int, _ http.Header) int { return status }),
			pushInSteps("?")},
		{"uploads-outside", uploadsOutside, nil},
		{"uploads-outside-in-steps", uploadsOutside, pushInSteps("&")},
		{"uploads-outside-by-regctl", uploadsOutside, func(t *testing.T, s quirkySet, img image,
			repository string) error {
			_, err := regctlClient(t, nil)(t, img, s.g.listen+"/"+repository+":"+imageTag)
			return err
		}},
		{"uploads-outside-by-skopeo", uploadsOutside, func(t *testing.T, s quirkySet, img image,
			repository string) error {
			_, err := skopeoClient(t, nil)(t, img, s.g.listen+"/"+repository+":"+imageTag)
			return err
		}},
		{"blobs-at-its-own-name", blobsBeside, nil},
		{"json-for-who-allows-it", packsJSON, nil},
	}
	s := startQuirkySet(t, rows)
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if i%few(3, 1) > 0 {
				long(t)
			}
			img := newImage(t, "amd64")
			ref := s.g.listen + "/" + row.name + ":" + imageTag
			push := row.push
			if push == nil {
				push = func(t *testing.T, _ quirkySet, img image, _ string) error { return cranePush(t, img, ref) }
			}
			must(t, push(t, s, img, row.name))
			if out, err := crane(t, "digest", ref); err != nil || !strings.HasSuffix(out, img.digest) {
				t.Errorf("the digest is %s, want %s: %v", out, img.digest, err)
			}
			if out, err := crane(t, "validate", "--remote", ref); err != nil {
				t.Errorf("%s %v", out, err)
			}
			waitFor(t, startBound, "the copy", func() error {
				h, err := whereIs([]*registry{s.far}, row.name, imageTag)
				if err == nil && (len(h.owners) == 0 || len(h.missing) > 0) {
					err = fmt.Errorf("%+v", h)
				}
				return err
			})
			if out, code := fairlead(t, "wait", row.name+":"+imageTag, "--timeout", "20s", "--admin",
				"http://"+s.g.admin); code != 0 {
				t.Errorf("wait: %d %s", code, out)
			}
		})
	}
	t.Run("nonsense", func(t *testing.T) { s.nonsense(t) })
	t.Run("a rollback stands", func(t *testing.T) { s.rollback(t) })
	t.Run("referrers", func(t *testing.T) { s.referrers(t) })
	t.Run("where a redirect leads", func(t *testing.T) { s.redirect(t) })
}

func startQuirkySet(t *testing.T, rows []headerQuirk) quirkySet {
	t.Helper()
	rows = append(rows, headerQuirk{"no-sense", nonsense, nil})
	near := startQuirky(t, "127.0.0.1", besideTheAPI, func(next http.Handler) http.Handler {
		behind := map[string]http.Handler{}
		for _, row := range rows {
			behind[row.name] = row.quirk(next)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
			if h := behind[name]; h != nil {
				h.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	far := startQuirky(t, "127.0.0.1")
	s := quirkySet{near: &registry{address: near}, far: &registry{address: far}}
	s.near.process, s.far.process = &process{name: "westus"}, &process{name: "westeurope"}
	replicas := withUpstreams(answerReplicas, []*registry{s.near, s.far})
	s.g = startGateway(t, "gateway", "127.0.0.1", file{
		here: "westus", health: "{fronts: false}", replicas: replicas, replication: copyAll,
		paths: "[/outside-uploads/*, /blobstore/*]",
	})
	return s
}

// statusOf says another success than go-containerregistry's does.
func statusOf(method, of string, status int) quirk {
	return onAnswer(func(r *http.Request, was int, _ http.Header) int {
		if r.Method == method && strings.Contains(r.URL.Path, of) && was < 300 {
			return status
		}
		return was
	})
}

// uploadsOutside gives uploads a path that does not begin with /v2/, as Google's Artifact Registry does; besideTheAPI
// takes them there.
func uploadsOutside(registry http.Handler) http.Handler {
	return onAnswer(func(r *http.Request, status int, h http.Header) int {
		if upload, ok := strings.CutPrefix(h.Get("Location"), "/v2/"); ok && strings.Contains(upload, "/uploads/") {
			h.Set("Location", "http://"+r.Host+"/outside-uploads/"+upload)
		}
		return status
	})(registry)
}

func besideTheAPI(registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if upload, ok := strings.CutPrefix(r.URL.Path, "/outside-uploads/"); ok {
			r = r.Clone(r.Context())
			r.URL.Path = "/v2/" + upload
		}
		if blob, ok := strings.CutPrefix(r.URL.Path, "/blobstore/"); ok {
			r = r.Clone(r.Context())
			r.URL.Path = "/v2/" + blob
			r.Header.Set("X-Beside", "1")
		}
		registry.ServeHTTP(w, r)
	})
}

// blobsBeside redirects pulls of blobs to another path of the registry's own address.
func blobsBeside(registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		blob, isBlob := strings.CutPrefix(r.URL.Path, "/v2/")
		if r.Method == http.MethodGet && isBlob && strings.Contains(blob, "/blobs/sha256:") &&
			r.Header.Get("X-Beside") == "" {
			own, _ := r.Context().Value(http.LocalAddrContextKey).(fmt.Stringer)
			w.Header().Set("Location", "http://"+own.String()+"/blobstore/"+blob)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		registry.ServeHTTP(w, r)
	})
}

// packsJSON compresses what is JSON for clients that allow it, as proxies before registries do.
func packsJSON(registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			registry.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		registry.ServeHTTP(whole, r)
		body := whole.Body.Bytes()
		for name, values := range whole.Header() {
			w.Header()[name] = values
		}
		if strings.Contains(whole.Header().Get("Content-Type"), "json") {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write(body)
			_ = z.Close()
			body = packed.Bytes()
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Del("Content-Length")
		}
		w.WriteHeader(whole.Code)
		_, _ = w.Write(body)
	})
}

// nonsense answers a manifest's PUT with no status, on a connection that stays open.
func nonsense(registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
			registry.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = both.WriteString("HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n")
		_ = both.Flush()
		_, _ = io.Copy(io.Discard, conn)
	})
}

// nonsense: no client is told that its push is there, and no gateway believes it.
func (s quirkySet) nonsense(t *testing.T) {
	if err := cranePush(t, newImage(t, "amd64"), s.g.listen+"/no-sense:"+imageTag); err == nil {
		t.Error("a push that no registry took is a success")
	}
	if out, code := fairlead(t, "image", "show", "no-sense:"+imageTag, "--admin", "http://"+s.g.admin); code == 0 {
		t.Errorf("it is recorded: %s", out)
	}
}

// rollback: what a registry without digests was given last is what its tag is, for the audit as well.
func (s quirkySet) rollback(t *testing.T) {
	first, second := newImage(t, "amd64"), newImage(t, "amd64")
	for _, img := range []image{first, second, first} {
		must(t, cranePush(t, img, s.g.listen+"/no-digests:rolled"))
		waitFor(t, startBound, "the copy", func() error {
			out, err := crane(t, "digest", s.far.address+"/no-digests:rolled")
			if err == nil && !strings.HasSuffix(out, img.digest) {
				err = fmt.Errorf("%s, not %s", out, img.digest)
			}
			return err
		})
	}
	if out, code := fairlead(t, "audit", "--repair", "--admin", "http://"+s.g.admin); code != 0 {
		t.Errorf("audit: %d %s", code, out)
	}
	for _, at := range []string{s.near.address, s.far.address} {
		if out, err := crane(t, "digest", at+"/no-digests:rolled"); err != nil ||
			!strings.HasSuffix(out, first.digest) {
			t.Errorf("%s has %s, want %s: %v", at, out, first.digest, err)
		}
	}
}

// referrers that the nearest does not have are found elsewhere, however its empty list comes.
func (s quirkySet) referrers(t *testing.T) {
	const repository = "json-for-who-allows-it"
	subject := newImage(t, "amd64")
	for _, at := range []string{s.near.address, s.far.address} {
		must(t, cranePush(t, subject, at+"/"+repository+":subject"))
	}
	signature := document{SchemaVersion: 2, MediaType: typeManifest, Config: subject.doc.Config, Layers: []descriptor{}}
	body := encode(t, signature)
	body = append(body[:len(body)-1], fmt.Sprintf(`,"artifactType":"application/x.sig","subject":{"mediaType":%q,"digest":%q,"size":1}}`, typeManifest, subject.digest)...)
	request, err := http.NewRequest(http.MethodPut, s.far.url()+"/v2/"+repository+"/manifests/"+digestOf(body),
		bytes.NewReader(body))
	must(t, err)
	request.Header.Set("Content-Type", typeManifest)
	answer, err := plain.Do(request)
	must(t, err)
	answer.Body.Close()
	for _, encoding := range []string{"", "gzip", "gzip, br"} {
		_, list, err := get(s.g.url()+"/v2/"+repository+"/referrers/"+subject.digest,
			http.Header{"Accept-Encoding": {encoding}})
		if err != nil || !bytes.Contains(list, []byte(digestOf(body))) {
			t.Errorf("to who allows %q: %s %v", encoding, list, err)
		}
	}
}

// redirect: a client hears of no name but the one that it knows.
func (s quirkySet) redirect(t *testing.T) {
	const repository = "blobs-at-its-own-name"
	img := newImage(t, "amd64")
	must(t, cranePush(t, img, s.g.listen+"/"+repository+":elsewhere"))
	answer, err := plain.Get(s.g.url() + "/v2/" + repository + "/blobs/" + img.doc.Layers[0].Digest)
	must(t, err)
	answer.Body.Close()
	want := "/blobstore/" + repository + "/blobs/" + img.doc.Layers[0].Digest + "?fairlead-replica=westus~"
	if got := answer.Header.Get("Location"); answer.StatusCode != http.StatusTemporaryRedirect ||
		!strings.HasPrefix(got, want) {
		t.Errorf("%d to %q, want %q", answer.StatusCode, got, want)
	}
}

// pushInSteps is a client that takes any success for one, and puts the digest behind a Location with this sign.
func pushInSteps(sign string) func(*testing.T, quirkySet, image, string) error {
	return func(t *testing.T, s quirkySet, img image, repository string) error {
		blobs := append([]descriptor{*img.doc.Config}, img.doc.Layers...)
		for _, blob := range blobs {
			if err := pushBlobInSteps(s.g, repository, sign, blob.Digest, partOf(t, img, blob.Digest)); err != nil {
				return err
			}
		}
		_, err := success(http.MethodPut, s.g.url()+"/v2/"+repository+"/manifests/"+imageTag, typeManifest,
			partOf(t, img, img.digest))
		return err
	}
}

func partOf(t *testing.T, img image, digest string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(img.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:")))
	must(t, err)
	return content
}

func pushBlobInSteps(g *gateway, repository, sign, digest string, content []byte) error {
	location, err := success(http.MethodPost, g.url()+"/v2/"+repository+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	if sign == "&" {
		if location, err = success(http.MethodPatch, g.url()+location, "application/octet-stream",
			content); err != nil {
			return err
		}
		content = nil
	}
	_, err = success(http.MethodPut, g.url()+location+sign+"digest="+digest, "application/octet-stream", content)
	return err
}

func success(method, url, mediaType string, body []byte) (location string, err error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	answer, err := plain.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode >= 300 {
		return "", fmt.Errorf("%s %s: %d %s", method, url, answer.StatusCode, text)
	}
	return answer.Header.Get("Location"), nil
}
