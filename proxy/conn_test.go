package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// What a registry sends behind the answer to a HEAD meets no other request on that connection, however busy it is.
func TestNothingFollowsAHead(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\nHTTP/1.1 500 Odd\r\nContent-Length: 0\r\n\r\n",
	} {
		west := func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, both, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			go func() {
				defer conn.Close()
				for err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					text := "HTTP/1.1 202 Accepted\r\nContent-Length: 7\r\n\r\n" + content
					if r.Method == http.MethodHead {
						text = answer
					}
					_, _ = both.WriteString(text)
					_ = both.Flush()
					r, err = http.ReadRequest(both.Reader)
				}
			}()
		}
		g := newRig(t, map[string]http.HandlerFunc{"west": west}, nil)
		for range 40 {
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					if i%2 == 0 {
						g.do("HEAD /v2/app/blobs/"+digest, nil)
						return
					}
					if got := g.do("PATCH "+uploads+"1?fairlead-replica=west",
						strings.NewReader("x")); got.status != 202 {
						t.Errorf("a part behind a HEAD: %v %v", got, got.err)
					}
				})
			}
			all.Wait()
		}
	}
}
