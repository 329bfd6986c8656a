package proxy

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/oci"
)

// shelf is a registry that is as strict about its uploads as distribution: what it has said of one has to come back.
type shelf struct {
	name string

	mu        sync.Mutex
	uploads   map[string][]byte // by id. Guarded by mu, as all below.
	blobs     map[string][]byte
	manifests map[string][]byte
	begun     int
	dead      bool
	patches   int // that have come, however they end
	diesAfter int // bytes of the next body that it reads before it dies; -1: all, and dies without an answer. 0: never
}

func newShelf(name string) *shelf {
	return &shelf{name: name, uploads: map[string][]byte{}, blobs: map[string][]byte{}, manifests: map[string][]byte{}}
}

func (s *shelf) die() { s.change(func() { s.dead = true }) }

func (s *shelf) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func (s *shelf) blob(digest string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blobs[digest]
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := s.read(w, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch of := r.URL.Path; {
	case s.dead:
		panic(http.ErrAbortHandler)
	case strings.Contains(of, "/manifests/") && r.Method == http.MethodPut:
		s.manifests[id] = body
		w.WriteHeader(http.StatusCreated)
	case strings.Contains(of, "/blobs/uploads/") && r.Method == http.MethodPost:
		id = fmt.Sprintf("%s-%d", s.name, s.begun)
		s.begun++
		s.uploads[id] = nil
		if digest := r.URL.Query().Get("digest"); digest != "" {
			s.commit(w, id, digest, body)
			return
		}
		s.goesOn(w, id)
	case strings.Contains(of, "/blobs/uploads/"):
		s.part(w, r, id, body)
	case s.blobs[id] == nil && s.manifests[id] == nil:
		http.NotFound(w, r)
	default:
		_, _ = w.Write(slices.Concat(s.blobs[id], s.manifests[id]))
	}
}

// read reads a body, or dies of it.
func (s *shelf) read(w http.ResponseWriter, r *http.Request) []byte {
	s.mu.Lock()
	if r.Method == http.MethodPatch {
		s.patches++
	}
	most := s.diesAfter
	alive := !s.dead
	s.mu.Unlock()
	if most == 0 || r.ContentLength == 0 || !alive {
		body, _ := io.ReadAll(r.Body)
		return body
	}
	if most < 0 {
		_, _ = io.Copy(io.Discard, r.Body)
	} else {
		_, _ = io.CopyN(io.Discard, r.Body, int64(most))
	}
	s.die()
	hangUp(w) // at once: the end of a handler waits for more of the body
	panic(http.ErrAbortHandler)
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// part needs mu.
func (s *shelf) part(w http.ResponseWriter, r *http.Request, id string, body []byte) {
	had, known := s.uploads[id]
	switch {
	case !known || r.URL.Query().Get("_state") != s.state(id):
		w.WriteHeader(http.StatusNotFound)
	case !follows(r.Header, had):
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	case r.Method == http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPatch:
		s.uploads[id] = append(bytes.Clone(had), body...)
		s.goesOn(w, id)
	default:
		s.commit(w, id, r.URL.Query().Get("digest"), append(bytes.Clone(had), body...))
	}
}

func (s *shelf) state(id string) string { return fmt.Sprintf("%s%d", s.name, len(s.uploads[id])) }

func (s *shelf) goesOn(w http.ResponseWriter, id string) {
	w.Header().Set("Location", uploads+id+"?_state="+s.state(id))
	w.WriteHeader(http.StatusAccepted)
}

func (s *shelf) commit(w http.ResponseWriter, id, digest string, content []byte) {
	delete(s.uploads, id)
	if content = append([]byte{}, content...); oci.Digest(content) != digest {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.blobs[digest] = content
	w.Header().Set("Location", "/v2/app/blobs/"+digest)
	w.WriteHeader(http.StatusCreated)
}

// shelves are a gateway over two, whose probes find out at once who is dead.
type shelves struct {
	*rig
	west, east *shelf

	setting sync.Mutex // Held while the fleet is changed.
}

func (s *shelves) setDown(name string) {
	s.setting.Lock()
	defer s.setting.Unlock()
	s.set(name, down)
}

func newShelves(t *testing.T, change func(*rigConfig)) *shelves {
	s := &shelves{west: newShelf("west"), east: newShelf("east")}
	s.rig = newRig(t, map[string]http.HandlerFunc{"west": s.west.ServeHTTP, "east": s.east.ServeHTTP},
		func(c *rigConfig) {
			c.Limits.AwaitHealth = patience
			c.Trouble = func(name string) { go s.setDown(name) }
			if change != nil {
				change(c)
			}
		})
	return s
}

func (s *shelves) begin() (location string) {
	s.t.Helper()
	got := s.do("POST "+uploads, nil)
	s.want(got, 202, "west; reason=nearest")
	return got.header.Get("Location")
}

func (s *shelves) begunAgain(why string) float64 {
	return testutil.ToFloat64(s.proxy.metrics.uploadsBegunAgain.WithLabelValues(why))
}

// nothingTaken: what a body under way had of memory it has given back.
func (s *shelves) nothingTaken() {
	s.t.Helper()
	s.gateway.Close() // waits for all requests
	s.proxy.cache.mu.Lock()
	defer s.proxy.cache.mu.Unlock()
	if s.proxy.cache.taken != 0 {
		s.t.Errorf("%d bytes are taken by nobody", s.proxy.cache.taken)
	}
}

// unsized is a body whose length nobody knows. Its end may wait until the first replica is dead and the second one has
// the upload: of what comes before that, too much may be lost.
func (s *shelves) unsized(content []byte, waits bool) io.Reader {
	body := []io.Reader{bytes.NewReader(content)}
	if waits {
		n := len(content) / 5
		body = []io.Reader{bytes.NewReader(content[:n]), readerFunc(s.awaitSecond), bytes.NewReader(content[n:])}
	}
	return io.MultiReader(body...)
}

func (s *shelves) awaitSecond([]byte) (int, error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.east.mu.Lock()
		patches := s.east.patches
		s.east.mu.Unlock()
		if patches > 0 {
			return 0, io.EOF
		}
	}
	return 0, io.ErrUnexpectedEOF
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestUploadsAreBegunAgain: the replica of an upload dies at each moment of it, noticed or not, and the client ends with
// its blob elsewhere without having heard of it.
func TestUploadsAreBegunAgain(t *testing.T) {
	const half = 300_000
	small, large := random(2*half), random(3<<20)
	type moment struct {
		name  string
		blob  []byte
		parts [][]byte // by PATCH, before the commit
		put   []byte   // with the commit
		dies  int      // before the part of this number; the commit's is the last
		after int      // as diesAfter; 0: it is dead before
		why   string

		unsized, ranges, noticed bool
	}
	whole, halves := [][]byte{small}, [][]byte{small[:half], small[half:]}
	for _, m := range []moment{
		{name: "before the only PATCH", blob: small, parts: whole, noticed: true},
		{name: "before a PATCH without a length", blob: small, parts: whole, noticed: true, unsized: true},
		{name: "before a PATCH with a range", blob: small, parts: whole, noticed: true, ranges: true},
		{name: "before a large PATCH", blob: large, parts: [][]byte{large}, noticed: true},
		{name: "before a PUT with all", blob: small, put: small, noticed: true},
		{name: "before a PUT of nothing", blob: []byte{}},
		{name: "at the beginning of a PATCH", blob: small, parts: whole, after: 1, why: whyKept},
		{name: "in the middle of a PATCH", blob: small, parts: whole, after: half, why: whyKept},
		{name: "in the middle of one without a length", blob: small, parts: whole, after: half / 4, why: whyKept,
			unsized: true},
		{name: "in the middle of a large one without a length", blob: large, parts: [][]byte{large}, after: half,
			why: whyKept, unsized: true},
		{name: "before the answer to a PATCH", blob: small, parts: whole, after: -1, why: whyKept},
		{name: "in the middle of a PUT", blob: small, put: small, after: half, why: whyKept},
		{name: "before the commit", blob: small, parts: whole, dies: 1, why: whyKept},
		{name: "before the commit, and that is known", blob: small, parts: whole, dies: 1, why: whyKept, noticed: true},
		{name: "before the second part", blob: small, parts: halves, dies: 1, why: whyKept, ranges: true},
		{name: "in the middle of the second part", blob: small, parts: halves, dies: 1, after: half / 2, why: whyKept},
		{name: "before a commit with the last part", blob: small, parts: halves[:1], put: halves[1], dies: 1, why: whyKept},
		{name: "after two parts", blob: small, parts: halves, dies: 2, why: whyKept, ranges: true},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := newShelves(t, nil)
			at, sent := s.begin(), 0
			send := func(i int, line string, part []byte) reply {
				if i == m.dies {
					s.west.change(func() { s.west.dead, s.west.diesAfter = m.after == 0, m.after })
					if m.noticed {
						s.setDown("west")
					}
				}
				var body io.Reader = bytes.NewReader(part)
				if m.unsized {
					body = s.unsized(part, i == m.dies && m.after > 0)
				}
				var headers []string
				if m.ranges && len(part) > 0 {
					headers = append(headers, fmt.Sprintf("Content-Range: %d-%d", sent, sent+len(part)-1))
				}
				sent += len(part)
				return s.do(line, body, headers...)
			}
			by := func(i int) string {
				switch {
				case i < m.dies:
					return "west; reason=owner"
				case i == m.dies:
					return "east; reason=failover"
				}
				return "east; reason=owner"
			}
			for i, part := range m.parts {
				got := send(i, "PATCH "+at, part)
				s.want(got, 202, by(i))
				at = got.header.Get("Location")
				if strings.Contains(at, uploadParam) {
					t.Errorf("after a part, %s", at)
				}
			}
			sum := oci.Digest(m.blob)
			got := send(len(m.parts), "PUT "+at+"&digest="+sum, m.put)
			s.want(got, 201, by(len(m.parts)))
			if !bytes.Equal(s.east.blob(sum), m.blob) || s.east.blob(sum) == nil {
				t.Errorf("the blob is not at the other replica")
			}
			if n := s.begunAgain(cmp.Or(m.why, whyEmpty)); n != 1 {
				t.Errorf("counted %v", n)
			}
			if owner := s.proxy.leases.owner("app", time.Now()); owner != "east" {
				t.Errorf("the lease is with %q", owner)
			}
			s.nothingTaken()
		})
	}
}

// TestUploadsThatAreLost: what this gateway does not have all of is answered as it always was.
func TestUploadsThatAreLost(t *testing.T) {
	small, large := random(1000), random(maxKept+1)
	loses := func(s *shelves, line string, body io.Reader, headers ...string) {
		s.t.Helper()
		s.west.die()
		if got := s.do(line, body, headers...); got.err == nil {
			s.t.Errorf("%s: no broken connection: %v", line, got)
		}
		s.want(s.do(line, body, headers...), 502, "west; reason=upload_lost")
		if seen := strings.Join(s.take(), "\n"); strings.Contains(seen, "east") {
			s.t.Errorf("asked %s", seen)
		}
		s.nothingTaken()
	}
	patched := func(s *shelves, at string, body io.Reader) string {
		s.t.Helper()
		got := s.do("PATCH "+at, body)
		s.want(got, 202, "west; reason=owner")
		return got.header.Get("Location")
	}
	t.Run("the same URL again", func(t *testing.T) {
		s := newShelves(t, nil)
		at := s.begin()
		patched(s, at, bytes.NewReader(large))
		loses(s, "PATCH "+at, nil)
	})
	t.Run("more than is kept", func(t *testing.T) {
		s := newShelves(t, nil)
		loses(s, "PUT "+patched(s, s.begin(), s.unsized(large, false))+"&digest="+oci.Digest(large), nil)
	})
	t.Run("more than is kept in two parts", func(t *testing.T) {
		s := newShelves(t, nil)
		at := patched(s, s.begin(), bytes.NewReader(large[:maxKept]))
		s.want(s.do("PATCH "+at, bytes.NewReader(large[maxKept:])), 202, "west; reason=owner")
		at = strings.Replace(at, "west"+fmt.Sprint(maxKept), "west"+fmt.Sprint(len(large)), 1)
		loses(s, "PUT "+at+"&digest="+oci.Digest(large), nil)
	})
	t.Run("a part from elsewhere", func(t *testing.T) {
		s := newShelves(t, nil)
		at := patched(s, s.begin(), bytes.NewReader(small))
		loses(s, "PATCH "+at, nil, "Content-Range: 1001-1002")
	})
	t.Run("begun through another gateway", func(t *testing.T) {
		s := newShelves(t, nil)
		at := patched(s, s.begin(), bytes.NewReader(small))
		other := newShelves(t, nil)
		loses(other, "PUT "+at+"&digest="+oci.Digest(small), nil)
	})
	t.Run("given up", func(t *testing.T) {
		s := newShelves(t, nil)
		at := patched(s, s.begin(), bytes.NewReader(small))
		s.want(s.do("DELETE "+at, nil), 204, "west; reason=owner")
		s.take()
		loses(s, "PUT "+at+"&digest="+oci.Digest(small), nil)
	})
	t.Run("no memory", func(t *testing.T) {
		s := newShelves(t, func(c *rigConfig) { c.Memory.Kept = 999 })
		loses(s, "PUT "+patched(s, s.begin(), bytes.NewReader(small))+"&digest="+oci.Digest(small), nil)
	})
	t.Run("nobody is up", func(t *testing.T) {
		s := newShelves(t, nil)
		at := s.begin()
		for _, name := range []string{"west", "east", "europe"} {
			s.setDown(name)
		}
		loses(s, "PUT "+at+"&digest="+oci.Digest(nil), nil)
	})
	t.Run("a large body of which something was taken", func(t *testing.T) {
		s := newShelves(t, nil)
		at := s.begin()
		s.west.change(func() { s.west.diesAfter = 1000 })
		if got := s.do("PATCH "+at, bytes.NewReader(random(8<<20))); got.err == nil {
			t.Errorf("no broken connection: %v", got)
		}
		if s.begunAgain(whyKept)+s.begunAgain(whyEmpty) > 0 {
			t.Error("it was begun again")
		}
		s.nothingTaken()
	})
}

// TestAnEmptyUploadIsKnownElsewhere: the mark in the URL is enough for a gateway that has never heard of the upload.
func TestAnEmptyUploadIsKnownElsewhere(t *testing.T) {
	at := newShelves(t, nil).begin()
	if !strings.Contains(at, "&fairlead-upload=empty&fairlead-replica=west") {
		t.Fatalf("Location %q", at)
	}
	other := newShelves(t, nil)
	other.west.die()
	blob := random(1000)
	got := other.do("PUT "+strings.Replace(at, "west-0", "gone", 1)+"&digest="+oci.Digest(blob), bytes.NewReader(blob))
	other.want(got, 201, "east; reason=failover")
	at = strings.Replace(at, "fairlead-replica=west", "fairlead-replica=mars", 1)
	got = other.do("PUT "+at+"&digest="+oci.Digest(blob), bytes.NewReader(blob))
	other.want(got, 201, "east; reason=failover")
}

// TestBegunAgainInItsOwnRight: what the gateway sends beside the client's request shows the client's credential.
func TestBegunAgainInItsOwnRight(t *testing.T) {
	s := newShelves(t, nil)
	blob := random(1000)
	at := s.do("PATCH "+s.begin(), bytes.NewReader(blob)).header.Get("Location")
	s.setDown("west")
	var mu sync.Mutex
	var shown []string
	s.mu.Lock()
	s.listen = func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, r.Method+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Content-Range"))
	}
	s.mu.Unlock()
	s.want(s.do("PUT "+at+"&digest="+oci.Digest(blob), nil, "Authorization: Bearer alices"), 201,
		"east; reason=failover")
	mu.Lock()
	defer mu.Unlock()
	want := []string{"POST Bearer alices ", "PATCH Bearer alices 0-999", "PUT Bearer alices "}
	if strings.Join(shown, "\n") != strings.Join(want, "\n") {
		t.Errorf("replicas saw %q", shown)
	}
}

// TestTheClientGoesAway: nothing is begun for who does not wait for it.
func TestTheClientGoesAway(t *testing.T) {
	asked := make(chan bool)
	s := newShelves(t, func(c *rigConfig) { c.Trouble = func(string) { asked <- true } })
	at := s.begin()
	s.west.die()
	conn := s.send(plain("PUT "+at+"&digest="+digest, "x"))
	await(t, asked, "the trouble") // which keeps it from going on
	conn.Close()
	go func() {
		for range asked {
		}
	}()
	s.nothingTaken()
	if seen := strings.Join(s.take(), "\n"); strings.Contains(seen, "east") {
		t.Errorf("asked %s", seen)
	}
}

func TestFollows(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "3-5": true, "bytes 3-5/*": true, "0-2": false, "bytes 0-5/6": false, "-": false, "x": false,
		"3": true, "99999999999999999999-": false,
	} {
		if got := follows(http.Header{"Content-Range": {text}}, make([]byte, 3)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWithDigests(t *testing.T) {
	for _, test := range [][3]string{
		{"_state=new", "_state=old&digest=sha256:a", "_state=new&digest=sha256:a"},
		{"", "digest=sha256%3Aa", "digest=sha256%3Aa"},
		{"a=b", "%64igest=x&c=d", "a=b&%64igest=x"},
		{"a=b", "%zz&c=d", "a=b"},
	} {
		if got := withDigests(test[0], test[1]); got != test[2] {
			t.Errorf("%q and %q: %q", test[0], test[1], got)
		}
	}
}
