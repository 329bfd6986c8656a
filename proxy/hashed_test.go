package proxy

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// flipped is content with one bit that is another.
func flipped(content []byte) []byte {
	out := bytes.Clone(content)
	out[len(out)/3] ^= 4
	return out
}

// gives answers with a blob.
func givesBlob(blob []byte, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
	}
}

// looking has blobs compared with their digests, with more than enough of a core.
func looking(c *rigConfig) { c.Hashing = 1 }

func blobPath(content []byte) string { return "/v2/app/blobs/" + oci.Digest(content) }

func (g *rig) damagedCounted(replica string) float64 {
	return testutil.ToFloat64(g.proxy.metrics.damaged.WithLabelValues(replica))
}

// A large blob with one flipped bit: its first client is cut off before the end, all others get it elsewhere, and who
// has mended it can see that at once.
func TestDamagedBlob(t *testing.T) {
	t.Parallel()
	for _, size := range []int{smallBlob + 1, 200<<10 + 3} {
		content := noise(size, 1)
		var west atomic.Pointer[[]byte]
		bad := flipped(content)
		west.Store(&bad)
		g := newRig(t, upstreams{
			"west": func(w http.ResponseWriter, r *http.Request) { givesBlob(*west.Load())(w, r) }, "east": givesBlob(content),
		}, looking)
		line := "GET " + blobPath(content)
		cut := g.do(line, nil)
		g.want(cut, http.StatusOK, "west; reason=nearest")
		if most := size - heldBack; cut.err == nil || len(cut.body) > most {
			t.Errorf("%d bytes, at most %d may come: %v", len(cut.body), most, cut.err)
		}
		g.take()
		for range 3 {
			got := g.do(line, nil)
			g.want(got, http.StatusOK, "east; reason=failover")
			if got.body != string(content) || got.err != nil {
				t.Errorf("%d bytes of another content: %v", len(got.body), got.err)
			}
		}
		if asked := g.take(); slices.ContainsFunc(asked, func(s string) bool { return strings.HasPrefix(s, "west") }) {
			t.Errorf("asked: %v", asked)
		}
		const named = "Host: west.registry.contoso.com"
		if got := g.do(line, nil, named); got.err == nil {
			t.Error("who names the replica got what is damaged as a whole")
		}
		if n, list := g.damagedCounted("west"), g.proxy.Damaged(); n != 1 || len(list) != 1 ||
			list[0].Replica != "west" || list[0].Repository != "app" || list[0].Digest != oci.Digest(content) {
			t.Errorf("counted %v, listed %+v", n, list)
		}
		if g.troubled("west") {
			t.Error("the replica is said to be in trouble")
		}
		west.Store(&content)
		if got := g.do(line, nil, named); got.body != string(content) || got.err != nil {
			t.Errorf("mended: %d bytes, %v", len(got.body), got.err)
		}
		g.want(g.do(line, nil), http.StatusOK, "west; reason=nearest")
		if list := g.proxy.Damaged(); len(list) != 0 {
			t.Errorf("listed %+v", list)
		}
	}
}

// Of a small blob no client sees that one replica has it damaged.
func TestDamagedSmallBlob(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2000, smallBlob} {
		content := noise(size, 2)
		g := newRig(t, upstreams{"west": givesBlob(flipped(content)), "east": givesBlob(content)}, looking)
		for range 2 {
			got := g.do("GET "+blobPath(content), nil)
			g.want(got, http.StatusOK, "east; reason=failover")
			if got.body != string(content) || got.err != nil {
				t.Errorf("%d bytes of another content: %v", len(got.body), got.err)
			}
		}
		if n := g.damagedCounted("west"); n != 1 || g.troubled("west") {
			t.Errorf("counted %v; trouble: %v", n, g.troubled("west"))
		}
	}
}

// What nobody has but who has it damaged is neither absent nor given out.
func TestDamagedAtAll(t *testing.T) {
	t.Parallel()
	content := noise(1000, 3)
	for name, at := range map[string]upstreams{
		"the others do not have it": {"east": givesBlob(flipped(content))},
		"all have it damaged": {"west": givesBlob(flipped(content)), "east": givesBlob(flipped(content)),
			"europe": givesBlob(flipped(content))},
	} {
		g := newRig(t, at, looking)
		for range 2 {
			got := g.do("GET "+blobPath(content), nil)
			g.want(got, http.StatusBadGateway, "-; reason=damaged")
			if !strings.Contains(got.body, "UNAVAILABLE") || !strings.Contains(got.body, first(at)) {
				t.Errorf("%s: %s", name, got.body)
			}
			g.take()
		}
		if n := g.damagedCounted("east"); n != 1 {
			t.Errorf("%s: counted %v", name, n)
		}
	}
}

// first is the nearest of them.
func first(at upstreams) string {
	for _, name := range []string{"west", "east", "europe"} {
		if at[name] != nil {
			return name
		}
	}
	return ""
}

// A client that pushes is not told that a blob exists which could not be copied to where its push goes.
func TestDamagedDoesNotExist(t *testing.T) {
	t.Parallel()
	content := noise(1000, 4)
	g := newRig(t, upstreams{"east": givesBlob(flipped(content))}, looking)
	g.want(g.do("HEAD "+blobPath(content), nil), http.StatusOK, "east; reason=fallthrough")
	g.want(g.do("GET "+blobPath(content), nil), http.StatusBadGateway, "-; reason=damaged")
	g.want(g.do("HEAD "+blobPath(content), nil), http.StatusNotFound, "west; reason=bound")
}

// What a push lacks is copied from who has it whole.
func TestDamagedIsNotCopied(t *testing.T) {
	t.Parallel()
	const config = "a config"
	at := map[string]store{}
	handlers := upstreams{}
	for name := range points {
		at[name] = newStore(t)
		handlers[name] = at[name].ServeHTTP
	}
	east := handlers["east"]
	handlers["east"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			givesBlob(flipped([]byte(config)))(w, r)
			return
		}
		east(w, r)
	}
	g := newRig(t, handlers, looking)
	at["east"].blob(config)
	g.want(g.do("GET "+blobPath([]byte(config)), nil), http.StatusBadGateway, "-; reason=damaged")
	put := func() reply {
		image := imageOf(config)
		return g.do("PUT /v2/app/manifests/v1", bytes.NewReader(image), "Content-Type: "+mediaTypeOf(image))
	}
	g.take()
	if got := put(); got.status != http.StatusBadRequest || !strings.Contains(got.body, "push it again") {
		t.Errorf("nobody else has it: %v", got)
	}
	at["europe"].blob(config)
	g.want(put(), http.StatusCreated, "west; reason=nearest")
	if !at["west"].has(blobPath([]byte(config))) {
		t.Error("it was not copied")
	}
	if asked := g.take(); slices.Contains(asked, "east GET "+blobPath([]byte(config))) {
		t.Errorf("asked: %v", asked)
	}
}

// What is not all of a blob's bytes as its digest names them says nothing of the replica, and passes as it is.
func TestNotHashed(t *testing.T) {
	t.Parallel()
	content := noise(smallBlob+100, 5)
	bad := flipped(content)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(bad)
	zip.Close()
	for name, test := range map[string]struct {
		west    http.HandlerFunc
		headers string
	}{
		"a range":   {givesBlob(bad), "Range: bytes=10-"},
		"all of it": {givesBlob(bad), "Range: bytes=0-"},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", strconv.Itoa(packed.Len()))
			_, _ = w.Write(packed.Bytes())
		}, "Accept-Encoding: gzip"},
		"a page":       {givesBlob(bad, "Content-Type: text/html; charset=utf-8"), "Accept: */*"},
		"of no length": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bad); _ = flush(w) }, "Accept: */*"},
		"switched off": {givesBlob(bad), "X-Off: 1"},
	} {
		g := newRig(t, upstreams{"west": test.west, "east": givesBlob(content)}, func(c *rigConfig) {
			if name != "switched off" {
				c.Hashing = 1
			}
		})
		for range 2 {
			got := g.do("GET "+blobPath(content), nil, test.headers)
			if got.by != "west; reason=nearest" || got.err != nil || len(got.body) == 0 {
				t.Errorf("%s: %d [%s], %d bytes, %v", name, got.status, got.by, len(got.body), got.err)
			}
		}
		if n := testutil.ToFloat64(g.proxy.metrics.hashed); n != 0 {
			t.Errorf("%s: %v bytes were hashed", name, n)
		}
	}
}

func flush(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }

// Each blob is looked at once at each replica, whatever its digest's algorithm; one whose client left is looked at with
// the next.
func TestHashedOnce(t *testing.T) {
	t.Parallel()
	content := noise(256<<10, 6)
	g := newRig(t, upstreams{"west": givesBlob(content), "east": givesBlob(content)}, looking)
	hashed := func(want float64, when string) {
		t.Helper()
		if n := testutil.ToFloat64(g.proxy.metrics.hashed); n != want {
			t.Errorf("%s: %v bytes were hashed, want %v", when, n, want)
		}
	}
	path := blobPath(content)
	for range 3 {
		if got := g.do("GET "+path, nil); got.body != string(content) {
			t.Errorf("got %d bytes, %v", len(got.body), got.err)
		}
	}
	hashed(256<<10, "three pulls")
	g.do("GET "+path, nil, "Host: east.registry.contoso.com")
	g.do("GET "+path, nil, "Host: east.registry.contoso.com")
	hashed(512<<10, "of another replica")
	other := "/v2/app/blobs/sha512:" + fmt.Sprintf("%x", sha512.Sum512(content))
	for range 2 {
		if got := g.do("GET "+other, nil); got.body != string(content) {
			t.Errorf("sha512: %d bytes, %v", len(got.body), got.err)
		}
	}
	hashed(768<<10, "by sha512")
}

func TestALookThatEndsEarly(t *testing.T) {
	t.Parallel()
	content := noise(2*smallBlob, 7)
	var asked atomic.Int32
	g := newRig(t, upstreams{"west": func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			givesBlob(content)(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:smallBlob])
		_ = flush(w)
		<-r.Context().Done()
	}}, looking)
	conn := g.send(plain("GET "+blobPath(content), ""))
	if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	found := func() int {
		g.proxy.looks.mu.Lock()
		defer g.proxy.looks.mu.Unlock()
		return g.proxy.looks.good.Len()
	}
	for end := time.Now().Add(patience); found() == 0; { // until the gateway has seen that the first client left
		if got := g.do("GET "+blobPath(content), nil); got.body != string(content) || time.Now().After(end) {
			t.Fatalf("got %d bytes, %v", len(got.body), got.err)
		}
	}
}

// A replica that breaks off in what is held back has said nothing, and does not look complete.
func TestALookThatBreaksOff(t *testing.T) {
	t.Parallel()
	content := noise(smallBlob+1000, 8)
	for _, sent := range []int{500, len(content) - heldBack, len(content) - heldBack + 10} {
		g := newRig(t, upstreams{"west": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content[:sent])
			_ = flush(w)
			panic(http.ErrAbortHandler)
		}}, looking)
		if got := g.do("GET "+blobPath(content), nil); got.err == nil || len(got.body) > sent {
			t.Errorf("%d bytes sent: got %d, %v", sent, len(got.body), got.err)
		}
		if list := g.proxy.Damaged(); len(list) != 0 {
			t.Errorf("%d bytes sent: %+v", sent, list)
		}
	}
}

// An answer that is let go of twice ends one look, not the next one of the same blob.
func TestALookEndsOnce(t *testing.T) {
	g := newRig(t, nil, looking)
	of, looks := blobAt{"sha256:a", "west"}, g.proxy.looks
	begin := func() bool {
		_, ok := looks.begin(of, 0, time.Now())
		return ok
	}
	begin()
	body := &hashedBody{ReadCloser: http.NoBody, of: of, x: &exchange{proxy: g.proxy}}
	_ = body.Close()
	if !begin() {
		t.Fatal("it has not ended")
	}
	_ = body.Close()
	if begin() {
		t.Error("it has ended the next one")
	}
}
