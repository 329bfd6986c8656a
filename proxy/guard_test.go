package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// store is a registry of its own beside the rig's gateway, that accepts manifests whose layers are missing.
type store struct {
	t *testing.T
	http.Handler
}

func newStore(t *testing.T) store {
	return store{t, registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))}
}

// put stores something behind the gateway's back.
func (s store) put(path, mediaType string, content []byte) {
	s.t.Helper()
	method := http.MethodPut
	if strings.Contains(path, "/uploads/") {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(content))
	r.Header.Set("Content-Type", mediaType)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		s.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
}

func (s store) blob(content string) {
	s.t.Helper()
	s.put("/v2/app/blobs/uploads/?digest="+sha256Of([]byte(content)), "application/octet-stream", []byte(content))
}

func (s store) manifest(content []byte) {
	s.t.Helper()
	s.put("/v2/app/manifests/"+sha256Of(content), mediaTypeOf(content), content)
}

func (s store) has(path string) bool {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodHead, path, nil))
	return w.Code == http.StatusOK
}

func mediaTypeOf(content []byte) string {
	var doc struct{ MediaType string }
	_ = json.Unmarshal(content, &doc)
	return doc.MediaType
}

const (
	typeImage = "application/vnd.oci.image.manifest.v1+json"
	typeIndex = "application/vnd.oci.image.index.v1+json"
)

func described(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": sha256Of(content), "size": len(content)}
}

// imageOf has a config and layers of these contents.
func imageOf(config string, layers ...string) []byte {
	list := []any{}
	for _, l := range layers {
		list = append(list, described("application/vnd.oci.image.layer.v1.tar", []byte(l)))
	}
	return encoded(map[string]any{"schemaVersion": 2, "mediaType": typeImage,
		"config": described("application/vnd.oci.image.config.v1+json", []byte(config)), "layers": list})
}

func indexOf(children ...[]byte) []byte {
	list := []any{}
	for _, c := range children {
		list = append(list, described(mediaTypeOf(c), c))
	}
	return encoded(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": list})
}

func encoded(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}

// scattered is a gateway over three registries.
type scattered struct {
	*rig
	at map[string]store
}

func newScattered(t *testing.T, change ...func(*rigConfig)) scattered {
	at := map[string]store{}
	handlers := map[string]http.HandlerFunc{}
	for name := range points {
		at[name] = newStore(t)
		handlers[name] = at[name].ServeHTTP
	}
	return scattered{newRig(t, handlers, func(c *rigConfig) {
		for _, do := range change {
			do(c)
		}
	}), at}
}

func (s scattered) putManifest(reference string, content []byte, headers ...string) reply {
	s.t.Helper()
	return s.do("PUT /v2/app/manifests/"+reference, bytes.NewReader(content),
		append(headers, "Content-Type: "+mediaTypeOf(content))...)
}

// wholeAt fails the test unless a replica has the manifest and everything below it.
func (s scattered) wholeAt(replica string, content []byte, below ...[]byte) {
	s.t.Helper()
	if !s.at[replica].has("/v2/app/manifests/" + sha256Of(content)) {
		s.t.Errorf("%s lacks the manifest %.200s", replica, content)
	}
	for _, b := range below {
		kind := "blobs"
		if strings.HasPrefix(string(b), "{\"") {
			kind = "manifests"
		}
		if !s.at[replica].has("/v2/app/" + kind + "/" + sha256Of(b)) {
			s.t.Errorf("%s lacks %.200s", replica, b)
		}
	}
}

func TestScatteredPartsAreBroughtTogether(t *testing.T) {
	for _, test := range []struct {
		name  string
		lay   func(s scattered)
		put   []byte
		below [][]byte
	}{
		{"all there", func(s scattered) { s.at["west"].blob("config"); s.at["west"].blob("one") },
			imageOf("config", "one"), [][]byte{[]byte("config"), []byte("one")}},
		{"over three replicas", func(s scattered) {
			s.at["west"].blob("config")
			s.at["east"].blob("one")
			s.at["europe"].blob("two")
		},
			imageOf("config", "one", "two"), [][]byte{[]byte("config"), []byte("one"), []byte("two")}},
		{"an index, its child and the child's layer apart", func(s scattered) {
			s.at["east"].manifest(imageOf("config", "one"))
			s.at["east"].blob("config")
			s.at["europe"].blob("one")
		}, indexOf(imageOf("config", "one")), [][]byte{imageOf("config", "one"), []byte("config"), []byte("one")}},
		{"an index in an index", func(s scattered) {
			for _, name := range []string{"east", "europe"} {
				s.at[name].blob("config")
			}
			s.at["east"].manifest(imageOf("config"))
			s.at["east"].manifest(indexOf(imageOf("config")))
		}, indexOf(indexOf(imageOf("config"))),
			[][]byte{indexOf(imageOf("config")), imageOf("config"), []byte("config")}},
		{"a large layer", func(s scattered) {
			s.at["west"].blob("config")
			s.at["east"].blob(strings.Repeat("large",
				200_000))
		},
			imageOf("config", strings.Repeat("large", 200_000)),
			[][]byte{[]byte("config"), []byte(strings.Repeat("large", 200_000))}},
	} {
		s := newScattered(t)
		test.lay(s)
		s.want(s.putManifest("v1", test.put), 201, "west; reason=nearest")
		s.wholeAt("west", test.put, test.below...)
		if t.Failed() {
			t.Fatal(test.name)
		}
	}
}

func TestWhatNobodyHasIsRefused(t *testing.T) {
	s := newScattered(t)
	s.at["west"].blob("config")
	image := imageOf("config", "nowhere")
	got := s.putManifest("v1", image)
	s.want(got, 400, "west; reason=scattered")
	for _, word := range []string{"MANIFEST_BLOB_UNKNOWN", sha256Of([]byte("nowhere")), `"owner":"west"`,
		`"asked":["east","europe"]`} {
		if !strings.Contains(got.body, word) {
			t.Errorf("no %s in %s", word, got.body)
		}
	}
	if s.at["west"].has("/v2/app/manifests/v1") {
		t.Error("committed with a blob missing")
	}
	s.at["west"].blob("nowhere")
	s.want(s.putManifest("v1", image), 201, "west; reason=nearest")
}

// A part that only a dead replica has may come back, and a client that pushes again brings it: the connection breaks,
// which most clients answer by pushing again. Who puts the same manifest once more is told why.
func TestWhatIsLostBreaksTheConnectionOnce(t *testing.T) {
	s := newScattered(t)
	var dead atomic.Bool
	dead.Store(true)
	s.rig = newRig(t, map[string]http.HandlerFunc{"west": s.at["west"].ServeHTTP,
		"east": func(w http.ResponseWriter, r *http.Request) {
			if dead.Load() {
				breakOff(w, r)
			}
			s.at["east"].ServeHTTP(w, r)
		}, "europe": s.at["europe"].ServeHTTP}, nil)
	s.at["west"].blob("config")
	s.at["east"].blob("one")
	image := imageOf("config", "one")
	if got := s.putManifest("v1", image); got.err == nil {
		t.Fatalf("%v", got)
	}
	s.want(s.putManifest("v1", image), 400, "west; reason=scattered")
	dead.Store(false)
	s.want(s.putManifest("v1", image), 201, "west; reason=nearest")
	s.wholeAt("west", image, []byte("config"), []byte("one"))
}

func TestWhatTheGuardLeavesAlone(t *testing.T) {
	foreign := encoded(map[string]any{"schemaVersion": 2, "mediaType": typeImage,
		"config": described("", []byte("config")), "layers": []any{
			described("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", []byte("nowhere")),
		}})
	referrer := encoded(map[string]any{
		"schemaVersion": 2, "mediaType": typeImage, "config": described("", []byte("config")), "layers": []any{},
		"subject": described(typeImage, []byte("later")),
	})
	for _, test := range []struct {
		name    string
		content []byte
		headers []string
		by      string
	}{
		{"a layer that is not pushed", foreign, nil, "west; reason=nearest"},
		{"a subject that comes later", referrer, nil, "west; reason=nearest"},
		{"a replica that is named", imageOf("config", "nowhere"), []string{"Host: east.registry.contoso.com"},
			"east; reason=named"},
	} {
		s := newScattered(t)
		s.at["west"].blob("config")
		s.want(s.putManifest("v1", test.content, test.headers...), 201, test.by)
		if t.Failed() {
			t.Fatal(test.name)
		}
	}
	s := newScattered(t)
	if got := s.putManifest("v1", indexOf(imageOf("nowhere"))); strings.Contains(got.by, "scattered") {
		t.Errorf("a child that nobody has is the registry's business: %v", got)
	}
}

// What a replica said in this push is not asked again; the rest is, as the client.
func TestTheGuardAsksAsTheClient(t *testing.T) {
	s := newScattered(t)
	var seen []string
	handlers := map[string]http.HandlerFunc{}
	for name, at := range s.at {
		handlers[name] = func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer mine" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			at.ServeHTTP(w, r)
		}
	}
	s.rig = newRig(t, handlers, nil)
	s.at["east"].blob("elsewhere")
	const mine = "Authorization: Bearer mine"
	s.want(s.do("POST "+uploads+"?digest="+sha256Of([]byte("pushed")), strings.NewReader("pushed"), mine), 201,
		"west; reason=nearest")
	s.take()
	s.want(s.putManifest("v1", imageOf("pushed", "elsewhere"), mine), 201, "west; reason=leased")
	seen = s.take()
	for _, line := range seen {
		if strings.Contains(line, sha256Of([]byte("pushed"))) {
			t.Errorf("asked again: %s", line)
		}
	}
	s.wholeAt("west", imageOf("pushed", "elsewhere"), []byte("elsewhere"))
	if got := s.putManifest("v2", imageOf("unseen", "elsewhere"), "Authorization: Bearer other"); got.status != 401 {
		t.Errorf("with another credential: %v", got)
	}
}

// A blob that is committed where its push no longer goes is copied at once, not when the manifest comes.
func TestABlobIsBroughtHome(t *testing.T) {
	s := newScattered(t)
	started := s.do("POST "+uploads, nil)
	s.want(started, 202, "west; reason=nearest")
	s.proxy.leases.revoke("app", "west", nil)
	s.proxy.leases.accept(t.Context(), "app", "europe", alice, time.Now())
	location := started.header.Get("Location")
	s.want(s.do("PUT "+location+"&digest="+sha256Of([]byte("late")), strings.NewReader("late")), 201,
		"west; reason=owner")
	s.proxy.healer.all.Wait()
	if !s.at["europe"].has("/v2/app/blobs/" + sha256Of([]byte("late"))) {
		t.Errorf("still elsewhere; seen: %v", s.take())
	}
}

// Past its bound the client's connection breaks, copying goes on, and the next try finds all there.
func TestCopyingOutlivesTheClient(t *testing.T) {
	release := make(chan bool)
	s := newScattered(t)
	s.at["east"].blob("slow")
	s.at["west"].blob("config")
	s.rig = newRig(t, map[string]http.HandlerFunc{"west": s.at["west"].ServeHTTP,
		"east": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				<-release
			}
			s.at["east"].ServeHTTP(w, r)
		}}, func(c *rigConfig) { c.Limits.Heal = 100_000_000 })
	image := imageOf("config", "slow")
	for range 2 {
		if got := s.putManifest("v1", image); got.err == nil {
			t.Fatalf("%v", got)
		}
	}
	close(release)
	s.proxy.healer.all.Wait()
	s.want(s.putManifest("v1", image), 201, "west; reason=nearest")
	s.wholeAt("west", image, []byte("slow"))
	gets := slices.DeleteFunc(s.take(), func(line string) bool { return !strings.HasPrefix(line, "east GET") })
	if len(gets) != 1 {
		t.Errorf("copied more than once: %v", gets)
	}
}

func TestAManifestIsPutAgainAtTheOwner(t *testing.T) {
	s := newScattered(t)
	s.at["west"].blob("config")
	s.proxy.leases.agreed = decided{owner: "europe"}
	s.want(s.putManifest("v1", imageOf("config")), 201, "europe; reason=leased")
	s.wholeAt("europe", imageOf("config"), []byte("config"))
}

// decided is an agreement on an owner that nobody knew of before a write was accepted.
type decided struct {
	alone
	owner string
}

func (d decided) Accept(context.Context, string, string) string { return d.owner }

func sha256Of(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

// Trouble at the owner is no answer: what it did not confirm is neither put nor remembered.
func TestTroubleIsNoConfirmation(t *testing.T) {
	s := newScattered(t)
	var trouble atomic.Bool
	trouble.Store(true)
	s.rig = newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && trouble.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.at["west"].ServeHTTP(w, r)
	}, "east": s.at["east"].ServeHTTP}, nil)
	s.at["west"].blob("config")
	s.at["east"].blob("one")
	image := imageOf("config", "one")
	if got := s.putManifest("v1", image); got.err == nil {
		t.Fatalf("%v", got)
	}
	if !s.troubled("west") {
		t.Error("nobody was told")
	}
	trouble.Store(false)
	s.want(s.putManifest("v1", image), 201, "west; reason=nearest")
	s.wholeAt("west", image, []byte("one"))
	many := []byte(`{"schemaVersion":2,"layers":[{}` + strings.Repeat(",{}", 5000) + `]}`)
	s.want(s.putManifest("v2", many), 400, "west; reason=scattered")
}

// An owner that goes down while it is asked what it has loses the push as one does that goes down in any other request.
func TestTheOwnerIsLostUnderTheGuard(t *testing.T) {
	t.Parallel()
	s := newScattered(t)
	s.rig = newRig(t, map[string]http.HandlerFunc{"west": status(503), "east": s.at["east"].ServeHTTP},
		func(c *rigConfig) {
			c.Limits.AwaitHealth = patience
			c.Trouble = func(name string) { s.set(name, down) } // as the probes find
		})
	s.at["east"].blob("config")
	s.proxy.leases.accept(t.Context(), "app", "west", bob, time.Now())
	s.want(s.putManifest("v1", imageOf("config")), 201, "east; reason=failover")
	s.wholeAt("east", imageOf("config"), []byte("config"))
}

// What exists elsewhere need not be pushed: it is on its way before the manifest comes, and the rest of the push goes
// where it would have gone.
func TestWhatExistsElsewhereNeedNotBePushed(t *testing.T) {
	s := newScattered(t)
	s.at["europe"].blob("config")
	head := "HEAD /v2/app/blobs/" + sha256Of([]byte("config"))
	s.want(s.do(head, nil), 200, "europe; reason=fallthrough")
	s.proxy.healer.all.Wait()
	if s.at["west"].has("/v2/app/blobs/" + sha256Of([]byte("config"))) {
		t.Error("copied for somebody who only asked")
	}
	s.want(s.do("POST "+uploads, nil), 202, "west; reason=bound")
	s.want(s.do(head, nil), 200, "europe; reason=fallthrough")
	s.proxy.healer.all.Wait()
	if !s.at["west"].has("/v2/app/blobs/" + sha256Of([]byte("config"))) {
		t.Error("not copied in the middle of a push")
	}
	s.want(s.putManifest("v1", imageOf("config")), 201, "west; reason=leased")
}

// TestManifestThatIsTooLarge: what could not be copied is refused, whether its length is said or not, and a client that
// sends all before it looks gets the answer.
func TestManifestThatIsTooLarge(t *testing.T) {
	const most = 1 << 20
	content := func(size int) []byte {
		body := imageOf("config")
		return append(body, bytes.Repeat([]byte(" "), size-len(body))...)
	}
	for _, test := range []struct {
		name string
		size int
		body func([]byte) io.Reader
		want int
	}{
		{"as large as may be", most, func(b []byte) io.Reader { return bytes.NewReader(b) }, http.StatusCreated},
		{"larger", most + 1, func(b []byte) io.Reader { return bytes.NewReader(b) }, http.StatusRequestEntityTooLarge},
		{"without a length", most + 1, func(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} },
			http.StatusRequestEntityTooLarge},
		{"much larger", 20 << 20, func(b []byte) io.Reader { return bytes.NewReader(b) },
			http.StatusRequestEntityTooLarge},
	} {
		s := newScattered(t, func(c *rigConfig) { c.MaxManifest = most })
		s.at["west"].blob("config")
		body := content(test.size)
		got := s.do("PUT /v2/app/manifests/v1", test.body(body), "Content-Type: "+typeImage)
		if got.status != test.want {
			t.Errorf("%s: %v, %v", test.name, got, got.err)
		}
		there := s.at["west"].has("/v2/app/manifests/v1")
		if refused := test.want != http.StatusCreated; refused == there || refused &&
			!strings.Contains(got.body, `"code":"MANIFEST_INVALID"`) {
			t.Errorf("%s: there %v, %s", test.name, there, got.body)
		}
	}
}

// TestLargeManifestIsHealed: a child is as large as a manifest may be.
func TestLargeManifestIsHealed(t *testing.T) {
	s := newScattered(t)
	child := append(imageOf("config"), bytes.Repeat([]byte(" "), 5<<20)...)
	s.at["east"].blob("config")
	s.at["east"].put("/v2/app/manifests/"+sha256Of(child), typeImage, child)
	index := encoded(map[string]any{"schemaVersion": 2, "mediaType": typeIndex,
		"manifests": []any{described(typeImage, child)}})
	if got := s.putManifest("v1", index); got.status != http.StatusCreated {
		t.Fatal(got, got.err)
	}
	s.wholeAt("west", index, child, []byte("config"))
}
