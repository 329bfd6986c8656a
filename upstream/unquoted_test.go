package upstream

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestUnquoted: what a replica sends and nobody can read is not repeated.
func TestUnquoted(t *testing.T) {
	for _, answer := range []string{
		"secret\r\n\r\n", "HTTP/1.1 secret OK\r\n\r\n", "HTTP/secret 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nsecret\r\n\r\n",
		"HTTP/1.1 200 OK\r\n secret: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: secret\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: secret\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: secret\r\n\r\n", "HTTP/1.1 200 OK\r\nsec\x00ret: secret\r\n\r\n",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := listener.Accept()
			if err == nil {
				_, _ = io.ReadAtLeast(conn, make([]byte, 1<<10), 10)
				_, _ = io.WriteString(conn, answer)
				conn.Close()
			}
		}()
		to := New(Config{
			Dial: time.Minute, Patience: time.Minute, Alive: func(string, time.Time) {},
		}, Settings{Endpoints: []Endpoint{
			{Name: "west", URL: &url.URL{Scheme: "http", Host: listener.Addr().String()}},
		}})
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://west/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = to.Send("west", "", request, false, nil)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", answer, err)
		}
		to.Close()
		listener.Close()
	}
}
