package transfer

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
)

type fault = func(f *fake, w http.ResponseWriter, r *http.Request) bool

// as answers well, but with another status.
func as(method string, status int) fault {
	return func(f *fake, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method {
			return false
		}
		well := httptest.NewRecorder()
		f.serve(well, r)
		if well.Code/100 == 2 {
			well.Code = status
		}
		for name, values := range well.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(well.Code)
		w.Write(well.Body.Bytes())
		return true
	}
}

// unsized streams a blob without its length, and says none to HEAD if it is silent; cutAt cuts the first answer.
func unsized(blob []byte, silent bool, cutAt int) fault {
	return func(f *fake, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead && silent {
			w.(http.Flusher).Flush()
			return true
		}
		if r.Method != http.MethodGet {
			return false
		}
		w.(http.Flusher).Flush()
		if n := f.nth("GET"); n == 1 && cutAt > 0 {
			w.Write(blob[:cutAt])
			w.(http.Flusher).Flush()
			cut()
		}
		w.Write(blob)
		return true
	}
}

func packed(encoding string, content []byte) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	default:
		w, _ = flate.NewWriter(&b, flate.DefaultCompression)
	}
	w.Write(content)
	w.Close()
	return b.Bytes()
}

// encoded sends content with an encoding that nobody asked for.
func encoded(encoding string, content []byte) fault {
	return func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Encoding", encoding)
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		return true
	}
}

// small refuses bodies that are too large, as what stands before a registry does: read to their end, or not.
func small(most int64, how func(w http.ResponseWriter, r *http.Request)) fault {
	return func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || r.ContentLength <= most {
			return false
		}
		how(w, r)
		return true
	}
}

func tooLarge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusRequestEntityTooLarge)
	io.WriteString(w, "<html>too large</html>")
}

// TestBlobsAsTheyAre: what the distribution spec leaves open, and what real registries and those before them make of
// the rest.
func TestBlobsAsTheyAre(t *testing.T) {
	blob := content(350_000)
	layer := packed("gzip", blob) // as it is stored: compressed in itself
	size := int64(len(blob))
	counts := func(from string, f, t int) func(*fake, *fake) bool {
		return func(source, target *fake) bool { return source.count[from] == f && target.count["PATCH"] == t }
	}
	for _, c := range []struct {
		name     string
		blob     []byte // nil is the usual one
		size     int64
		from, to fault
		err      string // "": it must be there
		seen     func(from, to *fake) bool
	}{
		{name: "no length, and a descriptor", size: size, from: unsized(blob, true, 0), seen: counts("HEAD", 0, 4)},
		{name: "no length, and HEAD", from: unsized(blob, false, 0), seen: counts("GET", 1, 4)},
		{name: "no length anywhere", from: unsized(blob, true, 0), seen: counts("GET", 2, 4)},
		{name: "no length, broken off", size: size, from: unsized(blob, true, 120_000), seen: counts("GET", 2, 4)},
		{name: "no length anywhere, broken off", from: unsized(blob, true, 120_000), seen: counts("GET", 3, 4)},
		{name: "no length, and a descriptor that says too little", size: size - 1, from: unsized(blob, true, 0)},
		{name: "no length, and a descriptor that says too much", size: size + 1, from: unsized(blob, true, 0)},
		{name: "a length, and a descriptor that is wrong", size: 5, seen: counts("GET", 1, 4)},
		{name: "no length, and another blob", size: size, from: unsized(layer, true, 0),
			err: "from: GET: 200: the content has another digest"},
		{name: "no length, empty", blob: []byte{}, from: unsized(nil, true, 0)},
		{name: "no ranges", from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return true
			}
			f.some(w, r, blob, 120_000*f.nth("GET"))
			return true
		}},
		{name: "compressed on its way", from: encoded("gzip", packed("gzip", blob))},
		{name: "compressed on its way, and a descriptor", size: size, from: encoded("gzip", packed("gzip", blob)),
			seen: counts("HEAD", 0, 4)},
		{name: "compressed on its way, broken off", size: size,
			from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Encoding", "gzip")
				if f.nth("GET") == 1 {
					f.some(w, r, packed("gzip", blob), 200_000)
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(packed("gzip", blob)))
				return true
			}, seen: counts("GET", 2, 4)},
		{name: "deflated on its way", from: encoded("deflate", packed("deflate", blob))},
		{name: "a layer of a store that calls it encoded", blob: layer, from: encoded("gzip", layer)},
		{name: "the same with a descriptor", blob: layer, size: int64(len(layer)), from: encoded("gzip", layer)},
		{name: "the same with a length", blob: layer, size: int64(len(layer)),
			from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Encoding", "gzip")
				f.some(w, r, layer, len(layer))
				return true
			}, seen: counts("GET", 1, 4)},
		{name: "called encoded, and is not", from: encoded("gzip", blob)},
		{name: "an encoding that nobody knows", from: encoded("utf-8", blob)},

		{name: "it is there already", to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				f.mu.Lock()
				f.has[sum(blob)] = blob
				f.mu.Unlock()
				w.Header().Set("Location", "/v2/team/app/blobs/"+sum(blob))
				w.WriteHeader(http.StatusCreated)
				return true
			}
			return false
		}, seen: counts("GET", 1, 0)},
		{name: "created, and it is not there", to: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusCreated)
			}
			return r.Method == http.MethodPost
		}, err: "to: POST: 201: unusable Location"},
		{name: "POST 200", to: as(http.MethodPost, 200)},
		{name: "POST 201, an upload", to: as(http.MethodPost, 201)},
		{name: "PATCH 204", to: as(http.MethodPatch, 204)},
		{name: "PATCH 201", to: as(http.MethodPatch, 201)},
		{name: "PATCH 200", to: as(http.MethodPatch, 200)},
		{name: "PUT 200", to: as(http.MethodPut, 200),
			seen: func(_, to *fake) bool { return to.count["PUT"] == 1 && to.count["DELETE"] == 0 }},
		{name: "PUT 202", to: as(http.MethodPut, 202), seen: func(_, to *fake) bool { return to.count["PUT"] == 1 }},
		{name: "PUT 204", to: as(http.MethodPut, 204)},
		{name: "PUT 202, and it is never there", to: func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusAccepted)
			}
			return r.Method == http.MethodPut
		}, err: "to: PUT: 202: what was accepted is not there", seen: counts("POST", 0, 4)},
		{name: "PUT 202, and it comes late", to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead && f.nth(http.MethodHead) < 4 {
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			return as(http.MethodPut, 202)(f, w, r)
		}, seen: func(_, to *fake) bool { return to.count["POST"] == 1 && to.count["DELETE"] == 0 }},
		{name: "PATCH says that it took less", to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch || f.nth(http.MethodPatch) != 2 {
				return false
			}
			part, _ := io.ReadAll(r.Body)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.upload = append(f.upload, part[:40_000]...)
			w.Header().Set("Range", fmt.Sprintf("0-%d", len(f.upload)-1))
			w.WriteHeader(http.StatusAccepted)
			return true
		}, seen: func(_, to *fake) bool { return slices.Contains(to.log, "PATCH 140000-239999") }},
		{name: "GET of an upload 200", to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch && f.nth("PATCH") == 2 {
				f.swallow(r, 40_000)
			}
			return as(http.MethodGet, 200)(f, w, r)
		}, seen: func(_, to *fake) bool { return to.count["POST"] == 1 }},

		{name: "413", to: small(30_000, tooLarge),
			seen: func(_, to *fake) bool { return to.count["POST"] == 1 && slices.Contains(to.log, "PATCH 0-24999") }},
		{name: "413 when it has been read", to: small(30_000, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			tooLarge(w, r)
		}), seen: func(_, to *fake) bool { return slices.Contains(to.log, "PATCH 0-24999") }},
		{name: "broken off where it is too large", to: small(30_000, func(_ http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1000)
			cut()
		}), seen: func(_, to *fake) bool { return to.count["POST"] == 1 && slices.Contains(to.log, "PATCH 0-24999") }},
		{name: "broken off where it is too large, and no word of an upload",
			to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return true
				}
				return small(20_000, func(_ http.ResponseWriter, r *http.Request) {
					io.CopyN(io.Discard, r.Body, 1000)
					cut()
				})(f, w, r)
			}, seen: func(_, to *fake) bool { return slices.Contains(to.log, "PATCH 0-16383") }},
		{name: "413 to the least", to: small(1000, tooLarge), err: "to: PATCH: 413"},
		{name: "chunks are to be large", to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("OCI-Chunk-Min-Length", "150000")
			return false
		}, seen: counts("GET", 1, 3)},
		{name: "chunks are to be large, and 413", to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("OCI-Chunk-Min-Length", "60000")
			return small(70_000, tooLarge)(f, w, r)
		}, seen: func(_, to *fake) bool { return slices.Contains(to.log, "PATCH 0-59999") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			from, to := newFake(t, c.from), newFake(t, c.to)
			want := c.blob
			if want == nil {
				want = blob
			}
			from.has[sum(want)] = want
			err := quick().copyBlob(t.Context(), from.repository("from"), to.repository("to"), sum(want), c.size)
			from.mu.Lock()
			defer from.mu.Unlock()
			to.mu.Lock()
			defer to.mu.Unlock()
			got, there := to.has[sum(want)]
			switch {
			case c.err == "" && (err != nil || !bytes.Equal(got, want)):
				t.Errorf("%d bytes, %v", len(got), err)
			case c.err != "" && (err == nil || there || !strings.Contains(err.Error(), c.err)):
				t.Errorf("there: %v, %v", there, err)
			case c.seen == nil || c.seen(from, to):
				return
			}
			t.Errorf("from %q\nto %q", from.log, to.log)
		})
	}
}

// TestPieceIsRemembered: the next blob to the same replica is sent in pieces that get through.
func TestPieceIsRemembered(t *testing.T) {
	for name, refuse := range map[string]func(http.ResponseWriter, *http.Request){
		"413": tooLarge,
		"broken off": func(_ http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1000)
			cut()
		},
	} {
		from, to := newFake(t, nil), newFake(t, small(30_000, refuse))
		target := to.repository("to")
		target.Replica.Piece = &Piece{}
		for n := range 2 {
			blob := content(100_000 + n)
			from.has[sum(blob)] = blob
			before := to.nth("PATCH")
			if err := quick().copyBlob(t.Context(), from.repository("from"), target, sum(blob), 0); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if sent := to.nth("PATCH") - before; n == 1 && sent != 5 {
				t.Errorf("%s: %d requests for the second blob, %q", name, sent, to.log)
			}
		}
	}
}

func TestPiece(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		name  string
		learn []int64
		later time.Duration
		want  int64
	}{
		{"nothing", nil, 0, 1000},
		{"the least counts", []int64{100, 200, 50, 70}, 0, 50},
		{"larger than usual", []int64{2000}, 0, 1000},
		{"remembered", []int64{100}, lowerLasts, 100},
		{"forgotten", []int64{100}, lowerLasts + 1, 1000},
	} {
		var p Piece
		for _, n := range c.learn {
			p.lower(n, now)
		}
		if got := p.size(1000, now.Add(c.later)); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestPieceOfAFullQuota: 413 for what has no more room teaches nothing, however much of it was taken before.
func TestPieceOfAFullQuota(t *testing.T) {
	for _, room := range []int64{0, 20_000, 60_000} {
		full := true
		from, to := newFake(t, nil), newFake(t, nil)
		to.fault = func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			f.mu.Lock()
			over := r.Method == http.MethodPatch && full && int64(len(f.upload))+r.ContentLength > room
			f.mu.Unlock()
			if over {
				tooLarge(w, r)
			}
			return over
		}
		blob, target := content(100_000), to.repository("to")
		from.has[sum(blob)] = blob
		target.Replica.Piece = &Piece{}
		send := func() error {
			return quick().copyBlob(t.Context(), from.repository("from"), target, sum(blob), 0)
		}
		if err := send(); !hasStatus(err, http.StatusRequestEntityTooLarge) {
			t.Fatalf("room for %d: %v", room, err)
		}
		to.mu.Lock()
		full = false
		to.mu.Unlock()
		before := to.nth("PATCH")
		if err := send(); err != nil || to.nth("PATCH") != before+1 {
			t.Errorf("room for %d: %d requests later on, %v", room, to.nth("PATCH")-before, err)
		}
	}
}

// TestPutAsItIs: every 2xx is a success if the manifest is there then or soon after, or the answer names it.
func TestPutAsItIs(t *testing.T) {
	body := []byte(`{"schemaVersion":2}`)
	const unkept = "to: PUT: 202: what was accepted is not there: the replica may have committed it"
	for _, c := range []struct {
		status       int
		named, there bool
		asked        int // before it is there
		err          string
	}{
		{201, false, false, 0, ""}, {202, true, false, 0, ""}, {202, false, true, 0, ""}, {200, false, true, 0, ""},
		{204, false, true, 0, ""},
		{202, false, true, 3, ""}, {202, false, false, 0, unkept}, {302, false, true, 0, "to: PUT: 302"},
		{400, true, true, 0, "to: PUT: 400"},
	} {
		to := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead && f.nth(http.MethodHead) <= c.asked {
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			if r.Method != http.MethodPut {
				return false
			}
			if c.named {
				w.Header().Set("Docker-Content-Digest", sum(body))
			}
			if c.there {
				f.mu.Lock()
				f.has[sum(body)] = body
				f.mu.Unlock()
			}
			w.WriteHeader(c.status)
			return true
		})
		err := quick().peer(to.repository("to")).putManifest(t.Context(), "v1", sum(body), typeManifest, body)
		if c.err == "" && err != nil || c.err != "" && fmt.Sprint(err) != c.err || Uncertain(err) != (c.err == unkept) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestManifestsAsTheyAre: read by digest, by tag and looked at, they are the same however they are dressed.
func TestManifestsAsTheyAre(t *testing.T) {
	image := []byte(`{"schemaVersion":2,"config":{},"layers":[]}`)
	docker := []byte(`{"schemaVersion":2,"mediaType":"` + typeDockerManifest + `","config":{},"layers":[]}`)
	for _, c := range []struct {
		name, encoding, mediaType string
		body, sent                []byte // sent: nil is the body
		want                      string
		head                      int // what HEAD is answered with; 0 is 200
	}{
		{name: "plain", mediaType: typeManifest, body: image, want: typeManifest},
		{name: "parameters", mediaType: typeManifest + "; charset=utf-8", body: image, want: typeManifest},
		{name: "generic, it says what it is", mediaType: "application/json", body: docker, want: typeDockerManifest},
		{name: "generic, it looks like it", mediaType: "text/plain; charset=utf-8", body: image, want: typeManifest},
		{name: "no type", body: image, want: typeManifest},
		{name: "gzip", encoding: "gzip", mediaType: typeManifest, body: image, sent: packed("gzip", image),
			want: typeManifest},
		{name: "x-gzip", encoding: "X-GZIP", mediaType: typeManifest, body: image, sent: packed("gzip", image),
			want: typeManifest},
		{name: "deflate", encoding: "deflate", mediaType: "application/json", body: image,
			sent: packed("deflate", image), want: typeManifest},
		{name: "deflate without its wrapper", encoding: "deflate", mediaType: typeManifest, body: image,
			sent: packed("raw", image), want: typeManifest},
		{name: "called gzip, and is not", encoding: "gzip", mediaType: typeManifest, body: image, want: typeManifest},
		{name: "called deflate, and is not", encoding: "deflate", mediaType: typeManifest, body: image,
			want: typeManifest},
		{name: "no HEAD", mediaType: typeManifest, body: image, want: typeManifest, head: http.StatusMethodNotAllowed},
	} {
		at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
			if got := r.Header.Values("Accept"); len(got) != 1 || !strings.Contains(got[0], typeDockerManifest+", ") {
				t.Errorf("%s: accepts %q", c.name, got)
			}
			if c.head != 0 && r.Method == http.MethodHead {
				w.WriteHeader(c.head)
				return true
			}
			w.Header()["Content-Type"] = nil
			if c.mediaType != "" {
				w.Header().Set("Content-Type", c.mediaType)
			}
			if c.encoding != "" {
				w.Header().Set("Content-Encoding", c.encoding)
			}
			sent := c.sent
			if sent == nil {
				sent = c.body
			}
			w.Write(sent)
			return true
		})
		if mediaType, body, err := at.repository("at").Manifest(t.Context(), sum(c.body)); err != nil ||
			mediaType != c.want || !bytes.Equal(body, c.body) {
			t.Errorf("%s: by digest: %q %q %v", c.name, mediaType, body, err)
		}
		byTag := loggedIn(at.replica("at")).Repository("team/app")
		if digest, mediaType, body, err := byTag.Tagged(t.Context(), "v1"); err != nil || digest != sum(c.body) ||
			mediaType != c.want || !bytes.Equal(body, c.body) {
			t.Errorf("%s: by tag: %q %q %q %v", c.name, digest, mediaType, body, err)
		}
		want := Content{sum(c.body), c.want, int64(len(c.body))}
		for _, reference := range []string{"v1", want.Digest} {
			if got, there, err := at.repository("at").Look(t.Context(), reference); err != nil || !there ||
				got != want {
				t.Errorf("%s: looked at: %v %v %v", c.name, got, there, err)
			}
		}
		if has, err := at.repository("at").HasManifest(t.Context(), want.Digest); err != nil || !has {
			t.Errorf("%s: has: %v %v", c.name, has, err)
		}
	}
}

// TestManifestLimit: what a few bytes become when they are decoded is bounded as well.
func TestManifestLimit(t *testing.T) {
	body := bytes.Repeat([]byte(" "), 1<<20)
	for name, fault := range map[string]fault{"plain": nil, "gzip": encoded("gzip", packed("gzip", body))} {
		at := newFake(t, fault)
		at.has[sum(body)] = body
		from := at.repository("at")
		for limit, want := range map[int64]error{1 << 20: nil, 1<<20 - 1: oci.ErrTooLarge} {
			from.Replica.MaxManifest = limit
			_, got, err := from.Manifest(t.Context(), sum(body))
			if !errors.Is(err, want) || err == nil && len(got) != len(body) {
				t.Errorf("%s, at most %d: %d bytes, %v", name, limit, len(got), err)
			}
		}
	}
}

func TestManifestType(t *testing.T) {
	const image, index = `{"schemaVersion":2,"config":{},"layers":[]}`, `{"schemaVersion":2,"manifests":[]}`
	says := func(mediaType string) string {
		return `{"schemaVersion":2,"mediaType":"` + mediaType + `","config":{}}`
	}
	for _, c := range []struct {
		body string
		said []string
		want string
	}{
		{image, []string{typeManifest}, typeManifest},
		{image, []string{typeDockerManifest + ";charset=utf-8", "application/json"}, typeDockerManifest},
		{image, []string{"application/json", " Application/Vnd.Docker.Distribution.Manifest.v2+JSON ; x=\"y"},
			typeDockerManifest},
		{image, []string{"application/json", "text/plain"}, typeManifest},
		{image, []string{"application/octet-stream"}, typeManifest},
		{index, []string{"application/json"}, typeIndex},
		{index, nil, typeIndex},
		{says(typeDockerManifest), []string{typeManifest}, typeDockerManifest},
		{says("application/vnd.oci.image.manifest.v1+json"), []string{typeIndex}, typeManifest},
		{says("application/vnd.example.own"), []string{typeManifest}, typeManifest},
		{says("application/vnd.example.own"), []string{"application/json"}, "application/vnd.example.own"},
		{says("application/json"), []string{"application/json"}, typeManifest},
		{`{"schemaVersion":1,"fsLayers":[],"signatures":[]}`, []string{"application/json"}, typeSigned},
		{`{"schemaVersion":1,"fsLayers":[]}`, []string{"text/plain"}, typeSchema1},
		{`{"schemaVersion":"x","config":1}`, []string{""}, typeManifest},
		{`{}`, []string{"application/json; charset=utf-8"}, "application/json"},
		{`hello`, []string{"text/plain"}, "text/plain"},
		{`hello`, []string{""}, typeManifest},
	} {
		if got := ManifestType([]byte(c.body), c.said...); got != c.want {
			t.Errorf("%s, said to be %q: %q, want %q", c.body, c.said, got, c.want)
		}
	}
}

// FuzzManifestType: whatever is said, a header can bear it, and who has said something that means something is heard.
func FuzzManifestType(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"a/b","manifests":[]}`), "application/json; charset=utf-8")
	f.Add([]byte(`{"schemaVersion":1}`), "application/vnd.x; =")
	f.Add([]byte(``), "\r\n")
	f.Fuzz(func(t *testing.T, body []byte, said string) {
		got := ManifestType(body, said)
		if got == "" || strings.ContainsAny(got, ";\r\n") {
			t.Errorf("%q, said to be %q: %q", body, said, got)
		}
		if again := ManifestType(body, got); again != got {
			t.Errorf("%q: %q, then %q", body, got, again)
		}
	})
}

// TestPages: the links to the next page as registries write them.
func TestPages(t *testing.T) {
	for name, next := range map[string]string{
		"a path":                   `</v2/team/app/tags/list?n=2&last=v2>; rel="next"`,
		"only a query":             `<?n=2&last=v2>; rel="next"`,
		"relative":                 `<list?n=2&last=v2>; rel="next"`,
		"another name, and a port": `<https://registry.internal:8443/v2/team/app/tags/list?n=2&last=v2>; rel="next"`,
		"one of several": `</v2/team/app/tags/list?n=2>; rel="first",` +
			` </v2/team/app/tags/list?n=2&last=v2>; rel=next`,
		"not quoted, upper case": `</v2/team/app/tags/list?n=2&last=v2>;REL=NEXT`,
		"a comma in it":          `</v2/team/app/tags/list?x=a,b&last=v2>; rel="next"`,
	} {
		for _, encoding := range []string{"", "gzip"} {
			at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
				body := []byte(`{"tags":["v3"]}`)
				if r.URL.Query().Get("last") == "" {
					w.Header().Add("Link", `</help>; rel="help"`)
					w.Header().Add("Link", next)
					body = []byte(`{"tags":["v1","v2"]}`)
				}
				return encoded(encoding, packedAs(encoding, body))(nil, w, r)
			})
			if tags, complete, err := at.repository("at").Tags(t.Context(), 100); err != nil || !complete ||
				!slices.Equal(tags, []string{"v1", "v2", "v3"}) {
				t.Errorf("%s, %q: %v %v %v", name, encoding, tags, complete, err)
			}
		}
	}
}

func packedAs(encoding string, body []byte) []byte {
	if encoding == "" {
		return body
	}
	return packed(encoding, body)
}

// TestReferrersAsTheyAre: lists have pages, and registries without any say so in many ways.
func TestReferrersAsTheyAre(t *testing.T) {
	at := newFake(t, func(_ *fake, w http.ResponseWriter, r *http.Request) bool {
		digest := sum([]byte("2"))
		if r.URL.Query().Get("page") == "" {
			w.Header().Set("Link", `<?page=2>; rel=next`)
			digest = sum([]byte("1"))
		}
		return encoded("gzip", packed("gzip", []byte(`{"manifests":[{"digest":"`+digest+`"}]}`)))(nil, w, r)
	})
	if got, err := at.repository("at").Referrers(t.Context(), sum(nil)); err != nil ||
		!slices.Equal(got, []string{sum([]byte("1")), sum([]byte("2"))}) {
		t.Errorf("%v, %v", got, err)
	}
	for status, fails := range map[int]bool{400: false, 404: false, 405: false, 406: false, 501: false, 401: true,
		403: true, 500: true} {
		at := newFake(t, func(_ *fake, w http.ResponseWriter,
			_ *http.Request) bool {
			w.WriteHeader(status)
			return true
		})
		if got, err := at.repository("at").Referrers(t.Context(), sum(nil)); (err != nil) != fails || len(got) > 0 {
			t.Errorf("%d: %v, %v", status, got, err)
		}
	}
}
