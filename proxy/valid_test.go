package proxy

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

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
			g := newRig(t, map[string]http.HandlerFunc{"west": odd, "east": odd, "europe": odd}, func(c *rigConfig) {
				c.Limits.Window, c.Limits.FirstByte = patience, patience
			})
			for _, line := range []string{
				"GET " + tagPath, "HEAD " + tagPath, "GET /v2/app/blobs/" + digest, "HEAD /v2/app/blobs/" + digest,
				"PUT " + tagPath, "POST " + uploads,
				"PATCH " + uploads + "1?fairlead-replica=west",
				"PUT " + uploads + "2?fairlead-replica=west&digest=" + digest,
				"DELETE " + tagPath, "GET /v2/",
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
	return strings.HasPrefix(answer, "HTTP/1.1 0") || strings.HasPrefix(answer, "HTTP/1.1 101") ||
		strings.HasPrefix(answer, "HTTP/1.1 600") ||
		strings.HasPrefix(answer, "HTTP/1.1 999") || strings.HasPrefix(answer, "HTTP/1.1 206") ||
		strings.HasPrefix(answer, "HTTP/1.1 304")
}

const tagPath = "/v2/app/manifests/v1"
