package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
)

const secret = "c2VjcmV0OnNlY3JldA=="

var alice = http.Header{"Authorization": {"Basic " + secret}}

// quick waits as long as the real ones, but not between tries.
func quick() bounds {
	b := standard()
	b.pause = time.Microsecond
	b.usualChunk = 100_000
	return b
}

// impatient does not wait for what stands still.
func impatient() bounds {
	b := quick()
	b.answer, b.still = 250*time.Millisecond, 250*time.Millisecond
	b.tries = 3
	return b
}

func content(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func sum(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// fake is a registry of one repository. It verifies nothing: what is wrong must not get that far.
type fake struct {
	*httptest.Server
	t     *testing.T
	fault func(f *fake, w http.ResponseWriter, r *http.Request) bool // true: it has answered. Static once used.

	gone chan struct{} // closed at the end of the test

	// Guarded by mu.
	mu     sync.Mutex
	has    map[string][]byte
	upload []byte
	opened int // uploads that were begun: what still comes of an earlier one is not of this one
	open   bool
	count  map[string]int
	log    []string
}

func newFake(t *testing.T, fault func(*fake, http.ResponseWriter, *http.Request) bool) *fake {
	f := &fake{t: t, fault: fault, has: map[string][]byte{}, count: map[string]int{}, gone: make(chan struct{})}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	t.Cleanup(func() { close(f.gone) })
	return f
}

func (f *fake) replica(name string) Replica {
	u, _ := url.Parse(f.URL)
	return Replica{Name: name, URL: u, Transport: f.Client().Transport}
}

// repository is asked as alice.
func (f *fake) repository(replica string) Repository {
	return Repository{f.replica(replica), "team/app", alice}
}

func (f *fake) nth(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[method]
}

func say(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.count[r.Method]++
	f.log = append(f.log, r.Method+" "+r.Header.Get("Range")+r.Header.Get("Content-Range"))
	f.mu.Unlock()
	if r.Header.Get("Authorization") != alice.Get("Authorization") {
		say(w, 401, "UNAUTHORIZED", "who are you")
		return
	}
	if f.fault != nil && f.fault(f, w, r) {
		return
	}
	f.serve(w, r)
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	state := "/v2/team/app/blobs/uploads/1?_state=a%2Bb"
	if strings.Contains(r.URL.Path, "/uploads/1") {
		f.mu.Lock()
		open := f.open
		f.mu.Unlock()
		if !open || r.URL.Query().Get("_state") != "a+b" {
			say(w, 404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r.Method {
	case http.MethodPost:
		f.open, f.upload = true, nil
		f.opened++
		w.Header().Set("Location", f.URL+state) // as registries do that know their name
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPatch:
		var first, last int64
		fmt.Sscanf(r.Header.Get("Content-Range"), "%d-%d", &first, &last)
		if first != int64(len(f.upload)) || last-first+1 != r.ContentLength {
			say(w, 416, "BLOB_UPLOAD_INVALID", "out of order")
			return
		}
		upload := f.opened
		f.mu.Unlock()
		part, err := io.ReadAll(r.Body)
		f.mu.Lock()
		if upload == f.opened {
			f.upload = append(f.upload, part...)
		}
		if err != nil {
			return
		}
		w.Header().Set("Location", state)
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		if digest := r.URL.Query().Get("digest"); digest != "" {
			f.has[digest], f.open = f.upload, false
		} else {
			f.has[name] = body
		}
		w.WriteHeader(http.StatusCreated)
	case http.MethodDelete:
		f.open = false
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet, http.MethodHead:
		if strings.Contains(r.URL.Path, "/uploads/") {
			w.Header().Set("Location", state)
			w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(f.upload)-1, 0)))
			w.WriteHeader(http.StatusNoContent)
			return
		}
		blob, ok := f.has[name]
		if !ok {
			say(w, 404, "BLOB_UNKNOWN", "blob unknown to registry")
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
	}
}

func cut() { panic(http.ErrAbortHandler) }

// swallow takes n bytes of a PATCH and breaks off.
func (f *fake) swallow(r *http.Request, n int64) {
	part, _ := io.ReadAll(io.LimitReader(r.Body, n))
	f.mu.Lock()
	f.upload = append(f.upload, part...)
	f.mu.Unlock()
	cut()
}

// some sends only some bytes of a blob, from where it is asked to.
func (f *fake) some(w http.ResponseWriter, r *http.Request, blob []byte, n int) {
	from := 0
	fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
	w.Header().Set("Content-Length", fmt.Sprint(len(blob)-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(blob)-1, len(blob)))
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(blob[from:min(from+n, len(blob))])
	w.(http.Flusher).Flush()
	if from+n < len(blob) {
		cut()
	}
}

func TestBlob(t *testing.T) {
	blob := content(350_000) // four chunks
	other := bytes.Clone(blob)
	other[1000]++
	type fault = func(f *fake, w http.ResponseWriter, r *http.Request) bool
	on := func(method string, nth int, do fault) fault {
		return func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == method && f.nth(method) == nth && do(f, w, r)
		}
	}
	status := func(code int, name string) fault {
		return func(_ *fake, w http.ResponseWriter, _ *http.Request) bool {
			say(w, code, name, "refused to "+secret)
			return true
		}
	}
	stall := func(f *fake, _ http.ResponseWriter, r *http.Request) bool {
		io.CopyN(io.Discard, r.Body, 1000)
		<-f.gone
		return true
	}
	hasty := impatient()
	for _, c := range []struct {
		name     string
		from, to fault
		bounds   *bounds
		err      string // "": it must be there
		seen     func(from, to *fake) bool
	}{
		{name: "happy", seen: func(from, to *fake) bool {
			return from.count["GET"] == 1 && to.count["PATCH"] == 4 && to.count["DELETE"] == 0
		}},
		{name: "source breaks off often", from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			f.some(w, r, blob, 30_000)
			return true
		}, seen: func(from, to *fake) bool { return from.count["GET"] == 12 && to.count["PATCH"] == 4 }},
		{name: "source breaks off and ignores Range", from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Range")
			f.some(w, r, blob, 120_000*f.nth("GET"))
			return true
		}, seen: func(from, to *fake) bool { return from.count["GET"] == 3 }},
		{name: "source never gets on", from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Range")
			f.some(w, r, blob, 1000)
			return true
		}, err: "from: GET: unexpected EOF", seen: func(from,
			to *fake) bool {
			return from.count["GET"] == 6 && to.count["DELETE"] == 1
		}},
		{name: "source trickles", from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			f.some(w, r, blob, 1000)
			return true
		}, err: "from: GET: unexpected EOF", seen: func(from, to *fake) bool { return from.count["GET"] == 6 }},
		{name: "source has another length", from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.nth("GET") == 1 {
				f.some(w, r, blob, 1000)
			}
			f.some(w, r, blob[:300_000], 300_000)
			return true
		}, err: "from: GET: 206: read again", seen: func(_, to *fake) bool { return to.count["PUT"] == 0 }},
		{name: "target has more than it was sent", to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.nth("PATCH") == 1 && r.Method == http.MethodPatch {
				f.swallow(r, 1000)
			}
			if r.Method == http.MethodGet {
				w.Header().Set("Range", "0-349999")
				w.WriteHeader(http.StatusNoContent)
				return true
			}
			return false
		}, seen: func(_, to *fake) bool { return to.count["POST"] == 2 }},
		{name: "source sends something else", from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			f.some(w, r, other, len(other))
			return true
		}, err: "from: GET: 200: the content has another digest",
			seen: func(from, to *fake) bool { return to.count["PUT"] == 0 && to.count["DELETE"] == 1 }},
		{name: "source has another range", from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.nth("GET") == 1 {
				f.some(w, r, blob, 1000)
			}
			w.Header().Set("Content-Range", "bytes 5-9/350000")
			w.WriteHeader(http.StatusPartialContent)
			return true
		}, err: "from: GET: 206: not the range"},
		{name: "source 404", from: status(404, "BLOB_UNKNOWN"), err: "from: GET: 404: BLOB_UNKNOWN: ***",
			seen: func(_, to *fake) bool { return to.count["POST"] == 0 }},
		{name: "source 503 once", from: on("GET", 1, status(503, "UNAVAILABLE"))},
		{name: "source stalls", bounds: &hasty, from: func(f *fake, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "350000")
			w.Write(blob[:10])
			w.(http.Flusher).Flush()
			<-f.gone
			return true
		}, err: "from: GET: "},
		{name: "source stalls once", bounds: &hasty, from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			if f.nth("GET") > 1 {
				return false
			}
			w.Header().Set("Content-Length", "350000")
			w.Write(blob[:10])
			w.(http.Flusher).Flush()
			<-f.gone
			return true
		}, seen: func(from, _ *fake) bool { return strings.HasPrefix(from.log[1], "GET bytes=") }},
		{name: "target breaks off", to: func(f *fake, _ http.ResponseWriter, r *http.Request) bool {
			if n := f.nth("PATCH"); r.Method == http.MethodPatch && n%2 == 0 {
				f.swallow(r, 40_000)
			}
			return false
		}, seen: func(_, to *fake) bool { return to.count["POST"] == 1 && to.count["GET"] == 2 }},
		{name: "target breaks off, source is another one then",
			from: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				if f.nth("GET") == 1 {
					f.some(w, r, other, len(other))
				} else {
					f.some(w, r, blob, len(blob))
				}
				return true
			}, to: on("PATCH", 1, func(f *fake, _ http.ResponseWriter,
				r *http.Request) bool {
				f.swallow(r, 40_000)
				return true
			}),
			err: "read again", seen: func(_, to *fake) bool { return to.count["PUT"] == 0 }},
		{name: "target never gets on", to: func(f *fake, _ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				f.swallow(r, map[int]int64{1: 1000}[f.nth("PATCH")])
			}
			return false
		}, err: "to: PATCH: ", seen: func(_, to *fake) bool {
			return to.count["POST"] == 1 &&
				to.count["PATCH"] == 11
		}},
		{name: "target loses the session", to: on("PATCH", 3, status(404, "BLOB_UPLOAD_UNKNOWN")),
			seen: func(_, to *fake) bool { return to.count["POST"] == 2 && to.count["PATCH"] == 7 }},
		{name: "target loses every session", to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPatch && status(404, "BLOB_UPLOAD_UNKNOWN")(f, w, r)
		}, err: "to: PATCH: 404", seen: func(_,
			to *fake) bool {
			return to.count["POST"] == 4 && to.count["DELETE"] == 4
		}},
		{name: "target loses it at the end", to: on("PUT", 1, status(404, "BLOB_UPLOAD_UNKNOWN")),
			seen: func(_, to *fake) bool { return to.count["POST"] == 2 }},
		{name: "target is out of step", to: on("PATCH", 2, status(416, "BLOB_UPLOAD_INVALID")),
			seen: func(_, to *fake) bool { return to.count["POST"] == 1 }},
		{name: "target commits and breaks off",
			to: on("PUT", 1, func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				f.serve(httptest.NewRecorder(), r)
				cut()
				return true
			}), seen: func(_, to *fake) bool { return to.count["POST"] == 1 && to.count["PUT"] == 1 }},
		{name: "target refuses the commit", to: on("PUT", 1, status(400, "DIGEST_INVALID")),
			err: "to: PUT: 400: DIGEST_INVALID", seen: func(_, to *fake) bool { return to.count["DELETE"] == 1 }},
		{name: "target 401", to: on("POST", 1, status(401, "UNAUTHORIZED")), err: "to: POST: 401: UNAUTHORIZED: ***",
			seen: func(_, to *fake) bool { return to.count["POST"] == 1 }},
		{name: "target refuses a part", to: on("PATCH", 2, status(403, "DENIED")), err: "to: ",
			seen: func(_, to *fake) bool { return to.count["PUT"] == 0 && to.count["DELETE"] == 1 }},
		{name: "foreign Location", to: on("POST", 1, func(_ *fake, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", "http://elsewhere.test/upload?token=hidden")
			w.WriteHeader(http.StatusAccepted)
			return true
		}), err: "to: POST: 202: the upload would leave"},
		{name: "no Location", to: on("POST", 1, func(_ *fake, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusAccepted)
			return true
		}), err: "to: POST: 202: unusable Location"},
		{name: "target stalls", bounds: &hasty, to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPatch && stall(f, w, r)
		}, err: "to: "},
		{name: "target does not answer", bounds: &hasty,
			to: func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodPost && stall(f, w, r)
			}, err: "to: POST: no answer in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			from, to := newFake(t, c.from), newFake(t, c.to)
			from.has[sum(blob)] = blob
			b := quick()
			if c.bounds != nil {
				b = *c.bounds
			}
			err := b.copyBlob(t.Context(), from.repository("from"), to.repository("to"), sum(blob), 0)
			from.mu.Lock()
			defer from.mu.Unlock()
			to.mu.Lock()
			defer to.mu.Unlock()
			got, there := to.has[sum(blob)]
			switch {
			case c.err == "" && (err != nil || !bytes.Equal(got, blob)):
				t.Errorf("%d bytes, %v", len(got), err)
			case c.err != "" && (err == nil || there || !strings.Contains(err.Error(), c.err)):
				t.Errorf("there: %v, %v", there, err)
			case err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "hidden")):
				t.Errorf("a secret in %v", err)
			case c.seen != nil && !c.seen(from, to):
				t.Errorf("from %q\nto %q\n%v", from.log, to.log, err)
			}
		})
	}
}

func TestBlobsOfAnyKind(t *testing.T) {
	for _, blob := range [][]byte{{}, {1}, content(100_000), content(100_001)} {
		for _, digest := range []string{sum(blob), fmt.Sprintf("sha512:%x", sha512.Sum512(blob))} {
			from, to := newFake(t, nil), newFake(t, nil)
			from.has[digest] = blob
			err := quick().copyBlob(t.Context(), from.repository("from"), to.repository("to"), digest, 0)
			if err != nil {
				t.Error(err)
			}
			if got, ok := to.has[digest]; !ok || !bytes.Equal(got, blob) {
				t.Errorf("%s of %d bytes: there %v", digest, len(blob), ok)
			}
		}
	}
	for _, digest := range []string{"", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:12",
		"sha256:" + strings.Repeat("A", 64), "sha256:../../" + strings.Repeat("a", 58)} {
		if err := CopyBlob(t.Context(), Repository{}, Repository{}, digest, 0); err != oci.ErrDigest {
			t.Errorf("%q: %v", digest, err)
		}
	}
}

func TestTheClientMayGoAway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	blob := content(350_000)
	to := newFake(t, func(f *fake, _ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			cancel()
			<-f.gone
		}
		return false
	})
	from := newFake(t, nil)
	from.has[sum(blob)] = blob
	err := quick().copyBlob(ctx, from.repository("from"), to.repository("to"), sum(blob), 0)
	if err == nil || to.nth("DELETE") != 1 || to.nth("POST") != 1 {
		t.Errorf("%v, %q", err, to.log)
	}
}

// pattern is endless and costs no memory.
type pattern struct{ n byte }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = p.n
	}
	p.n++
	return len(b), nil
}

func TestMemoryIsBounded(t *testing.T) {
	const size = 64 << 20
	h := sha256.New()
	io.CopyBuffer(struct{ io.Writer }{h}, io.LimitReader(&pattern{}, size), make([]byte, 32<<10))
	digest := fmt.Sprintf("sha256:%x", h.Sum(nil))
	from := newFake(t, func(_ *fake, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(&pattern{}, size), make([]byte, 32<<10))
		return true
	})
	var most, got uint64
	to := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		var m runtime.MemStats
		for n := int64(4 << 20); n == 4<<20; {
			n, _ = io.CopyN(io.Discard, r.Body, 4<<20)
			got += uint64(n)
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		w.WriteHeader(http.StatusAccepted)
		return true
	})
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := CopyBlob(t.Context(), from.repository("from"), to.repository("to"), digest, 0); err != nil {
		t.Fatal(err)
	}
	heapBytes := int64(most) - int64(before.HeapAlloc)
	t.Logf("%d bytes with %d KiB of heap", got, heapBytes>>10)
	if got != size || heapBytes > 4<<20 {
		t.Errorf("%d bytes with %d of heap", got, heapBytes)
	}
}
