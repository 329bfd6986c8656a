package proxy

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestValid(t *testing.T) {
	for _, test := range []struct {
		method, asked string // a field of the request
		status        int
		header        string // a field of the answer
		length        int64
		want          bool
	}{
		{"GET", "", 200, "", -1, true},
		{"GET", "", 0, "", 0, false},
		{"PUT", "", 99, "", 0, false},
		{"PATCH", "", 101, "Upgrade: websocket", 0, false},
		{"POST", "", 199, "", 0, false},
		{"PUT", "", 600, "", 0, false},
		{"PUT", "", 999, "", 0, false},
		{"PUT", "", 599, "", 0, true},

		{"GET", "", 304, "", 0, false},
		{"GET", `If-None-Match: "x"`, 304, "", 0, true},
		{"HEAD", "If-Modified-Since: Sun, 29 Nov 2026 00:00:00 GMT", 304, "", 0, true},
		{"PUT", `If-None-Match: *`, 304, "", 0, false},

		{"GET", "", 206, "Content-Range: bytes 0-9/10", 10, false},
		{"PATCH", "Range: bytes=0-9", 206, "Content-Range: bytes 0-9/10", 10, false},
		{"GET", "Range: bytes=5-", 206, "Content-Range: bytes 5-9/10", 5, true},
		{"GET", "Range: bytes=5-", 206, "Content-Range: bytes 5-9/*", -1, true},
		{"GET", "Range: bytes=5-", 206, "Content-Range: bytes 5-7/10", 3, true},
		{"GET", "Range: bytes=5-", 206, "Content-Range: bytes 0-9/10", 10, false},
		{"GET", "Range: bytes=5-", 206, "Content-Range: bytes 6-9/10", 4, false},
		{"GET", "Range: bytes=5-", 206, "", 5, false},
		{"GET", "Range: bytes=5-", 206, "Content-Range: bytes 5-9/10", 6, false},
		{"GET", "Range: bytes=5-", 206, "Content-Range: bytes 5-9/8", 5, false},
		{"GET", "Range: bytes=5-", 206, "Content-Range: items 5-9/10", 5, false},
		{"GET", "Range: bytes=5-7", 206, "Content-Range: bytes 5-7/10", 3, true},
		{"GET", "Range: bytes=5-7", 206, "Content-Range: bytes 5-9/10", 5, false},
		{"GET", "Range: bytes=5-20", 206, "Content-Range: bytes 5-9/10", 5, true},
		{"GET", "Range: bytes=-3", 206, "Content-Range: bytes 7-9/10", 3, true},
		{"GET", "Range: bytes=-20", 206, "Content-Range: bytes 0-9/10", 10, true},
		{"GET", "Range: bytes=-3", 206, "Content-Range: bytes 0-9/10", 10, false},
		{"GET", "Range: bytes=-3", 206, "Content-Range: bytes 0-2/10", 3, false},
		{"GET", "Range: bytes=0-1,5-6", 206, "Content-Type: multipart/byteranges; boundary=x", 100, true},
		{"GET", "Range: items=1", 206, "", 100, true},
		{"HEAD", "Range: bytes=0-4", 206, "Content-Range: bytes 0-4/10", 10, true},
		{"GET", "Range: bytes=5-", 200, "", 10, true},
	} {
		r := &http.Request{Method: test.method, Header: http.Header{}}
		a := &http.Response{StatusCode: test.status, Header: http.Header{}, ContentLength: test.length, Request: r}
		for field, h := range map[string]http.Header{test.asked: r.Header, test.header: a.Header} {
			if name, value, ok := strings.Cut(field, ": "); ok {
				h.Set(name, value)
			}
		}
		if err := valid(r, a); (err == nil) != test.want || err != nil && !errors.Is(err, errNonsense) {
			t.Errorf("%s %s answered %d %s, %d bytes: %v, want valid %v", test.method, test.asked, test.status, test.header, test.length, err, test.want)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/100")
	f.Add("bytes 5-9/*")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseContentRange(text)
		if !ok {
			return
		}
		var a contentRange
		size := "*"
		if got.size >= 0 {
			size = fmt.Sprint(got.size)
		}
		if b, ok := parseContentRange(fmt.Sprintf("bytes %d-%d/%s", got.first, got.last, size)); !ok || b != got || got.first > got.last || got.first < a.first {
			t.Fatalf("%q: %+v, and written anew %+v %v", text, got, b, ok)
		}
	})
}

// raw answers each request on a connection with text, and says when that connection has ended.
func raw(text string, ended chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		go func() {
			defer conn.Close()
			_, _ = both.WriteString(strings.ReplaceAll(text, "\n", "\r\n"))
			_ = both.Flush()
			_, _ = bufio.NewReader(conn).WriteTo(discard{})
			ended <- struct{}{}
		}()
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// What is no answer is 502 for every method, its connection is closed, and nothing is learnt.
func TestNoSuccessOutOfNonsense(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 000 \nContent-Length: 0\n\n",
		"HTTP/1.1 099 Odd\nContent-Length: 0\n\n",
		"HTTP/1.1 099 Odd\nLocation: " + uploads + "2\nContent-Length: 5\n\nhello",
		"HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\n\n",
		"HTTP/1.1 101 Switching Protocols\n\n",
		"HTTP/1.1 600 Odd\nContent-Length: 0\n\n",
		"HTTP/1.1 999 Odd\nContent-Length: 5\n\nhello",
		"HTTP/1.1 206 Partial Content\nContent-Range: bytes 0-4/5\nContent-Length: 5\n\nhello",
		"HTTP/1.1 304 Not Modified\n\n",
		"HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\nhello!",
		"HTTP/1.1 20 OK\n\n",
		"HTTP/1.1 -20 OK\n\n",
		"HTTP/1.1 2000 OK\n\n",
		"HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\n",
		"HTTP/1.1 200 OK\nX: " + strings.Repeat("x", 128<<10) + "\n\n",
		"HTTP/1.1 200 OK\nno field\n\n",
		"SSH-2.0-OpenSSH\n",
		"\x16\x03\x01\x02\n\n",
		strings.Repeat("HTTP/1.1 103 Early Hints\nX: "+strings.Repeat("x", 4<<10)+"\n\n", 64),
		"",
	} {
		t.Run(fmt.Sprintf("%.30q", answer), func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{}, 99)
			odd := raw(cmp.Or(answer, "\n"), ended)
			g := newRig(t, map[string]http.HandlerFunc{"west": odd, "east": odd, "europe": odd}, func(c *Config) {
				c.Limits.Window, c.Limits.FirstByte = patience, patience
			})
			for _, line := range []string{
				"GET " + tagPath, "HEAD " + tagPath, "GET /v2/app/blobs/" + digest, "HEAD /v2/app/blobs/" + digest, "PUT " + tagPath, "POST " + uploads,
				"PATCH " + uploads + "1?fairlead-replica=west", "PUT " + uploads + "2?fairlead-replica=west&digest=" + digest, "DELETE " + tagPath, "GET /v2/",
			} {
				var body io.Reader
				if strings.HasPrefix(line, "P") {
					body = strings.NewReader("{}")
				}
				got := g.do(line, body)
				lost := got.err != nil && strings.Contains(line, "fairlead-replica") && !sensible(answer)
				if got.status != 502 && !lost {
					t.Errorf("%s: got %v %v", line, got, got.err)
				}
				await(t, ended, "the end of the connection")
			}
			if n := g.proxy.leases.count(); n != 0 || !g.troubled("west") {
				t.Errorf("%d leases; trouble %q", n, g.trouble)
			}
		})
	}
}

// sensible: it can be read, at least. What cannot be is as good as no answer: an upload is lost then.
func sensible(answer string) bool {
	return strings.HasPrefix(answer, "HTTP/1.1 0") || strings.HasPrefix(answer, "HTTP/1.1 101") || strings.HasPrefix(answer, "HTTP/1.1 600") ||
		strings.HasPrefix(answer, "HTTP/1.1 999") || strings.HasPrefix(answer, "HTTP/1.1 206") || strings.HasPrefix(answer, "HTTP/1.1 304")
}

const tagPath = "/v2/app/manifests/v1"
