package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// largeBlob is larger than what is copied rather than moved, and than what waits in sockets.
var largeBlob = noise(3<<20, 17)

var largeDigest = sha256Of(largeBlob)

var largePath = "/v2/app/blobs/" + largeDigest

// serveBlob serves a blob, or ranges of it, as registries do.
func serveBlob(w http.ResponseWriter, r *http.Request) { serveContent(w, r, largeBlob) }

func serveContent(w http.ResponseWriter, r *http.Request, content []byte) {
	w.Header().Set(digestHeader, largeDigest)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// until serves a blob up to so many bytes of the answer. then is what becomes of the rest.
func until(most int, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		serveBlob(&short{ResponseWriter: w, left: most}, r)
		_ = http.NewResponseController(w).Flush()
		then(w, r)
	}
}

// short takes no more than so many bytes.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p[:min(len(p), s.left)])
	if s.left -= n; err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (g *rig) resumed(from, to string, why leaveReason) float64 {
	return testutil.ToFloat64(g.proxy.metrics.resumed.WithLabelValues(from, to, string(why)))
}

func goesOn(c *rigConfig) { c.Limits.Resume = patience }

// half is where answers break off.
const half = 1 << 20

func TestAPullOutlivesItsReplica(t *testing.T) {
	content := func(from, to int) string { return string(largeBlob[from:to]) }
	size := len(largeBlob)
	for _, test := range []struct {
		name   string
		west   http.HandlerFunc
		east   http.HandlerFunc
		asked  string // Range of the client
		status int
		want   string
		range2 string // that east is asked for
	}{
		{"the whole blob", until(half, breakOff), serveBlob, "", 200, content(0, size),
			fmt.Sprintf("bytes=%d-%d", half, size-1)},
		{"before the first byte", until(0, breakOff), serveBlob, "", 200, content(0, size),
			fmt.Sprintf("bytes=0-%d", size-1)},
		{"before the last byte", until(size-1, breakOff), serveBlob, "", 200, content(0, size),
			fmt.Sprintf("bytes=%d-%d", size-1, size-1)},
		{"the rest of a blob", until(half, breakOff), serveBlob, "bytes=1000-", 206, content(1000, size),
			fmt.Sprintf("bytes=%d-%d", half+1000, size-1)},
		{"a part in the middle", until(half, breakOff), serveBlob, "bytes=1000-2000000", 206, content(1000, 2000001),
			fmt.Sprintf("bytes=%d-2000000", half+1000)},
		{"the last bytes", until(half, breakOff), serveBlob, "bytes=-1500000", 206, content(size-1500000, size),
			fmt.Sprintf("bytes=%d-%d", size-1500000+half, size-1)},
		{"it has not all at once", until(half, breakOff), until(1<<19, breakOff), "", 200, content(0, size),
			fmt.Sprintf("bytes=%d-%d", half, size-1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ranges []string
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west, "europe": serveBlob,
				"east": func(w http.ResponseWriter, r *http.Request) {
					ranges = append(ranges, r.Header.Get("Range"))
					test.east(w, r)
				}}, goesOn)
			var headers []string
			if test.asked != "" {
				headers = append(headers, "Range: "+test.asked)
			}
			got := g.do("GET "+largePath, nil, headers...)
			g.want(got, test.status, "west; reason=nearest")
			if got.err != nil || got.body != test.want {
				t.Errorf("%d bytes of %d, %v", len(got.body), len(test.want), got.err)
			}
			if !slices.Equal(ranges[:min(1, len(ranges))], []string{test.range2}) {
				t.Errorf("east was asked for %q", ranges)
			}
			if n := g.resumed("west", "east", leaveBroken); n != 1 {
				t.Errorf("counted %v", n)
			}
			if !g.troubled("west") {
				t.Error("no trouble was reported")
			}
		})
	}
}

// What a client cannot put together stays broken, and so does what nobody else has as it was.
func TestAPullThatCannotGoOn(t *testing.T) {
	change := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			serveBlob(&renamed{w, name, value}, r)
		}
	}
	for name, test := range map[string]struct {
		west, east http.HandlerFunc
		headers    []string
	}{
		"nobody has it": {once(until(half, breakOff)), nil, nil},
		"of another length": {once(until(half, breakOff)),
			change("Content-Range", "bytes 1048576-3145727/3145729"), nil},
		"of another digest": {once(until(half, breakOff)), change(digestHeader, otherDigest), nil},
		"from another byte": {once(until(half, breakOff)),
			change("Content-Range", "bytes 1048575-3145726/3145728"), nil},
		"encoded": {once(until(half, breakOff)), change("Content-Encoding", "gzip"), nil},
		"several parts": {once(until(half, breakOff)), serveBlob,
			[]string{"Range: bytes=0-1999999,2000001-3000000"}},
		"one that was encoded":   {once(zstdCoded(until(half, breakOff))), serveBlob, nil},
		"one that is not let in": {once(until(half, breakOff)), status(401), nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west, "east": test.east}, nil)
			got := g.do("GET "+largePath, nil, test.headers...)
			if got.err == nil {
				t.Errorf("%d, %d bytes were passed off as all", got.status, len(got.body))
			}
			if len(got.body) > half+1<<10 {
				t.Errorf("%d bytes", len(got.body))
			}
		})
	}
}

// once serves one request.
func once(h http.HandlerFunc) http.HandlerFunc {
	var asked atomic.Bool
	return func(w http.ResponseWriter, r *http.Request) {
		if asked.Swap(true) {
			h = http.NotFound
		}
		h(w, r)
	}
}

// renamed has a field's value in the place of the one that is set.
type renamed struct {
	http.ResponseWriter
	name, value string
}

func (r *renamed) WriteHeader(status int) {
	r.Header().Set(r.name, r.value)
	r.ResponseWriter.WriteHeader(status)
}

func zstdCoded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(&renamed{w, "Content-Encoding", "zstd"}, r)
	}
}

// Whoever knows no ranges sends all anew, if nobody else goes on.
func TestAReplicaThatKnowsNoRanges(t *testing.T) {
	whole := func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		serveBlob(w, r)
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": until(half, breakOff), "east": whole}, goesOn)
	got := g.do("GET "+largePath, nil, "Range: bytes=1000-2000000")
	if got.err != nil || got.body != string(largeBlob[1000:2000001]) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	g = newRig(t, map[string]http.HandlerFunc{"west": until(half, breakOff), "east": whole, "europe": serveBlob},
		goesOn)
	if got := g.do("GET "+largePath, nil); got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if n := g.resumed("west", "europe", leaveBroken); n != 1 {
		t.Errorf("europe, which knows ranges, was taken %v times", n)
	}
}

// A replica whose connections break may be all that there is.
func TestTheOnlyReplicaGoesOn(t *testing.T) {
	var tries atomic.Int32
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) < 4 {
			until(1<<19, breakOff)(w, r)
		}
		serveBlob(w, r)
	}}, func(c *rigConfig) {
		goesOn(c)
		c.way.MaxConns, c.ClientShare = 1, 1 // the one that broke is no longer the client's
	})
	got := g.do("GET "+largePath, nil, "Host: west.registry.contoso.com")
	if got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if n := g.resumed("west", "west", leaveBroken); n != 3 {
		t.Errorf("counted %v", n)
	}
}

// Where a replica redirects to, it goes on, and hears of no login.
func TestTheRestOfObjectStorage(t *testing.T) {
	var shown atomic.Value
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.Store(r.Header.Get("Authorization") + r.URL.RawQuery)
		serveBlob(w, r)
	}))
	defer storage.Close()
	g := newRig(t, map[string]http.HandlerFunc{"west": until(half, breakOff),
		"east": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.Replace(storage.URL, "127.0.0.1", "localhost", 1)+"/bucket/1?signature=2",
				http.StatusTemporaryRedirect)
		}}, goesOn)
	got := g.do("GET "+largePath, nil, "Authorization: Bearer secret")
	if got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if shown.Load() != "signature=2" {
		t.Errorf("it was shown %q", shown.Load())
	}
}

// A client's token may end while a large layer comes. Then the gateway's own counts, where it has one.
func TestTheRestWithTheGatewaysLogin(t *testing.T) {
	east := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer own" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		serveBlob(w, r)
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": until(half, breakOff), "east": east}, goesOn)
	own := g.proxy.Upstreams.Reach("east")
	own.Transport = authorized{own.Transport}
	g.update(func(s *Settings) { s.Own = map[string]transfer.Replica{"east": own} })
	got := g.do("GET "+largePath, nil, "Authorization: Bearer ended")
	if got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	g.take()
	g.set("west", down)
	if got := g.do("GET "+largePath, nil, "Authorization: Bearer ended"); got.status == 200 {
		t.Error("a client that was not let in got it with the gateway's login")
	}
}

type authorized struct{ http.RoundTripper }

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer own")
	return a.RoundTripper.RoundTrip(r)
}

// hangs is a replica that stands still and keeps its connection.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func lagsSoon(c *rigConfig) {
	c.Limits.Resume, c.Limits.Window = patience, 3*time.Second
	c.Limits.Still, c.Limits.Slow = 200*time.Millisecond, 200*time.Millisecond
}

func TestAPullLeavesAReplicaThatStandsStill(t *testing.T) {
	for name, test := range map[string]struct {
		west      http.HandlerFunc
		change    func(*rigConfig)
		meanwhile func(g *rig)
		why       leaveReason
	}{
		"it stalls": {until(half, hangs), lagsSoon, nil, leaveStalled},
		"it is called down": {until(half, hangs), func(c *rigConfig) {
			lagsSoon(c)
			c.Limits.Still = patience
		}, func(g *rig) { g.set("west", down) }, leaveDown},
		"it is slow": {until(half, aByteNowAndThen), lagsSoon, nil, leaveSlow},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west, "east": serveBlob}, test.change)
			if test.why == leaveSlow {
				g.proxy.speeds.note("east", 1<<30, time.Now())
			}
			response, err := http.Get(g.gateway.URL + largePath)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got := make([]byte, half)
			if _, err := io.ReadFull(response.Body, got); err != nil {
				t.Fatal(err)
			}
			if test.meanwhile != nil {
				test.meanwhile(g)
			}
			rest, err := io.ReadAll(response.Body)
			if err != nil || string(got)+string(rest) != string(largeBlob) {
				t.Errorf("%d bytes, %v", half+len(rest), err)
			}
			if n := g.resumed("west", "east", test.why); n != 1 {
				t.Errorf("counted %v", n)
			}
		})
	}
}

// aByteNowAndThen sends a byte now and then.
func aByteNowAndThen(w http.ResponseWriter, r *http.Request) {
	for i := half; r.Context().Err() == nil; i++ {
		_, _ = w.Write(largeBlob[i : i+1])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A replica that stands still is not left where nobody else goes on, and may move on itself.
func TestAStallThatPasses(t *testing.T) {
	asked := make(chan bool, 100)
	g := newRig(t, map[string]http.HandlerFunc{
		"west": until(half, func(w http.ResponseWriter, _ *http.Request) {
			<-asked
			_, _ = w.Write(largeBlob[half:])
		}),
		"east": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			asked <- true
		},
	}, lagsSoon)
	if got := g.do("GET "+largePath, nil); got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
}

// Nothing goes on for a client that has gone away.
func TestAClientThatLeavesWhileTheRestIsAskedFor(t *testing.T) {
	asked, ended := make(chan bool, 100), make(chan bool, 100)
	g := newRig(t, map[string]http.HandlerFunc{"west": until(half, breakOff),
		"east": func(_ http.ResponseWriter, r *http.Request) {
			asked <- true
			<-r.Context().Done()
			ended <- true
		}}, goesOn)
	ctx, leave := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, g.gateway.URL+largePath, nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, response.Body) }()
	await(t, asked, "the question for the rest")
	g.take()
	leave()
	await(t, ended, "its end")
	g.gateway.Close() // the end of the handler
	if seen := g.take(); len(seen) > 0 {
		t.Errorf("asked %q afterwards", seen)
	}
}

func TestAPullOutlivesItsReplicaInTLSAndHTTP2(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": until(half, breakOff), "east": until(1<<19, hangs),
				"europe": serveBlob}, lagsSoon)
			g.serve(func(s *httptest.Server) {
				s.EnableHTTP2 = version == "HTTP/2.0"
				s.StartTLS()
			})
			client := g.gateway.Client()
			response, err := client.Get(g.gateway.URL + largePath)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if err != nil || !bytes.Equal(got, largeBlob) || response.Proto != version {
				t.Errorf("%d bytes in %s, %v", len(got), response.Proto, err)
			}
			if g.resumed("west", "east", leaveBroken) != 1 || g.resumed("east", "europe", leaveStalled) != 1 {
				t.Error("it was not counted")
			}
		})
	}
}

// Bytes are counted for the replica that they came from.
func TestTheRestIsCountedForItsReplica(t *testing.T) {
	pulled := map[string]int{}
	g := newRig(t, map[string]http.HandlerFunc{"west": until(half, breakOff), "east": serveBlob}, func(c *rigConfig) {
		goesOn(c)
		c.told.pulled = func(replica string, nearest bool, n int) {
			pulled[replica+" "+strconv.FormatBool(nearest)] += n
		}
	})
	g.do("GET "+largePath, nil)
	g.gateway.Close()
	if pulled["west true"] != half || pulled["east false"] != len(largeBlob)-half || len(pulled) != 2 {
		t.Errorf("%v", pulled)
	}
}

// framed serves what follows a range's first byte in chunks, or up to the connection's end, and says no size of it.
func framed(size string, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first := 0
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first)
		end := len(largeBlob)
		if first < half {
			end = half
		}
		if first > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%s", first, end-1, size))
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(largeBlob[first:end])
		_ = http.NewResponseController(w).Flush()
		then(w, r)
	}
}

func end(http.ResponseWriter, *http.Request) {}

func TestABodyInChunksGoesOn(t *testing.T) {
	size := strconv.Itoa(len(largeBlob))
	g := newRig(t, map[string]http.HandlerFunc{"west": framed(size, breakOff), "east": framed(size, end)}, goesOn)
	if got := g.do("GET "+largePath, nil); got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	// Nobody says how much there is: the end of the part is not that of the blob.
	g = newRig(t, map[string]http.HandlerFunc{"west": once(framed("*", breakOff)), "east": framed("*", end)}, nil)
	if got := g.do("GET "+largePath, nil); got.err == nil {
		t.Errorf("%d bytes were passed off as all", len(got.body))
	}
}

// All bytes have come, and the end of the last chunk was lost.
func TestABodyWhoseEndIsLost(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"east": serveBlob,
		"west": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(largeBlob)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}}, func(c *rigConfig) { c.Limits.Resume = time.Hour })
	if got := g.do("GET "+largePath, nil); got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
}

// What breaks off at once whenever it is asked is not asked for ever, and not counted.
func TestARestThatNeverComes(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" {
			until(half, breakOff)(w, r)
		}
		until(0, breakOff)(w, r)
	}}, func(c *rigConfig) { c.Limits.Resume = time.Second })
	got := g.do("GET "+largePath, nil)
	if got.err == nil {
		t.Errorf("%d bytes were passed off as all", len(got.body))
	}
	asked := 0
	for _, line := range g.take() {
		if strings.HasPrefix(line, "west ") {
			asked++
		}
	}
	if asked > 5 || asked < 2 {
		t.Errorf("it was asked %d times within a second", asked)
	}
	if n := g.resumed("west", "west", leaveBroken); n != 0 {
		t.Errorf("counted %v", n)
	}
}

// The only replica that has a blob is asked again also where probes have called it down meanwhile.
func TestAReplicaThatIsBackBeforeItsProbes(t *testing.T) {
	var g *rig
	broke := make(chan bool, 1)
	g = newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			serveBlob(w, r)
			return
		}
		until(half, func(w http.ResponseWriter, r *http.Request) {
			g.set("west", down)
			broke <- true
			breakOff(w, r)
		})(w, r)
	}}, goesOn)
	if got := g.do("GET "+largePath, nil); got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	await(t, broke, "the break")
}

// One that was left once is asked beside the one that stands still now.
func TestAReplicaThatWasLeftIsAskedAgain(t *testing.T) {
	var asked atomic.Int32
	g := newRig(t, map[string]http.HandlerFunc{
		"west": func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				until(half, breakOff)(w, r)
			}
			serveBlob(w, r)
		},
		"east": until(1000, hangs),
	}, lagsSoon)
	if got := g.do("GET "+largePath, nil); got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if n := g.resumed("east", "west", leaveStalled); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// What nobody can go on with beside it is left when it has not moved for a whole window.
func TestABodyThatIsAbandoned(t *testing.T) {
	var asked atomic.Int32
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			until(half, hangs)(w, r)
			return
		}
		serveBlob(w, r)
	}}, func(c *rigConfig) {
		c.Limits.Resume, c.Limits.Window = patience, 300*time.Millisecond
	})
	if got := g.do("GET "+largePath, nil); got.err != nil || got.body != string(largeBlob) {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
	if n := g.resumed("west", "west", leaveStalled); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// The client's conditions are about the answer that it has.
func TestTheRestWithoutConditions(t *testing.T) {
	var got http.Header
	g := newRig(t, map[string]http.HandlerFunc{"west": until(half, breakOff),
		"east": func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Clone()
			serveBlob(w, r)
		}}, goesOn)
	g.do("GET "+largePath, nil, `If-None-Match: "1"`, `If-Range: "2"`, "Range: bytes=5-", "If-Modified-Since: 3",
		"Accept-Encoding: gzip")
	if got["If-None-Match"] != nil || got["If-Range"] != nil || got["If-Modified-Since"] != nil ||
		got.Get("Accept-Encoding") != "identity" {
		t.Errorf("%v", got)
	}
}

// Who sends all anew and stands still before what is wanted is given up.
func TestASkipThatStandsStill(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": once(until(half, breakOff)),
		"east": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			until(1000, hangs)(w, r)
		}}, func(c *rigConfig) { c.Limits.Resume = time.Second })
	if got := g.do("GET "+largePath, nil); got.err == nil {
		t.Errorf("%d bytes were passed off as all", len(got.body))
	}
}
