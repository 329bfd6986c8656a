package upstream

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

// scripted is a connection that reads from text.
type scripted struct {
	net.Conn
	io.Reader
}

func (s scripted) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s scripted) Write(p []byte) (int, error) { return len(p), nil }

func TestFramedConn(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
	for _, test := range []struct{ name, request, answer, want string }{
		{"HEAD", "HEAD / HTTP/1.1\r\n\r\n", head + "\r\n", head + "\r\n"},
		{"HEAD with a body", "HEAD / HTTP/1.1\r\n\r\n", head + "\r\nhello", head + closeField + "\r\n"},
		{"HEAD with a second answer", "HEAD / HTTP/1.1\r\n\r\n", head + "\r\n" + head + "\r\nhello",
			head + closeField + "\r\n"},
		{"HEAD after a hint", "HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 103 Hint\r\n\r\n" + head + "\r\nhello",
			"HTTP/1.1 103 Hint\r\n\r\n" + head + closeField + "\r\n"},
		{"HEAD in plain lines", "HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\nhello",
			"HTTP/1.1 200 OK\nA: b\n" + closeField + "\n"},
		{"GET", "GET / HTTP/1.1\r\n\r\n", head + "\r\nhello", head + "\r\nhello"},
		{"204", "DELETE / HTTP/1.1\r\n\r\n", "HTTP/1.1 204 None\r\n\r\nhello",
			"HTTP/1.1 204 None\r\n" + closeField + "\r\n"},
		{"304", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 304\r\n\r\nhello", "HTTP/1.1 304\r\n" + closeField + "\r\n"},
		{"no answer", "GET / HTTP/1.1\r\n\r\n", "SSH-2.0", "SSH-2.0"},
	} {
		c := &framedConn{Conn: scripted{Reader: strings.NewReader(test.answer)}}
		_, _ = io.WriteString(c, test.request)
		if got, err := io.ReadAll(c); string(got) != test.want || err != nil {
			t.Errorf("%s: %q %v, want %q", test.name, got, err, test.want)
		}
	}
}

// FuzzFramedConn: an answer that has a body comes as it is, however it is cut into reads.
func FuzzFramedConn(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\n\r\nhello", true)
	f.Add("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false)
	f.Fuzz(func(t *testing.T, answer string, one bool) {
		var from io.Reader = strings.NewReader(answer)
		if one {
			from = iotest.OneByteReader(from)
		}
		c := &framedConn{Conn: scripted{Reader: from}}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
		got, err := io.ReadAll(c)
		if err != nil || string(got) != answer && !bytes.Contains(got, []byte(closeField)) {
			t.Fatalf("%q came as %q %v", answer, got, err)
		}
	})
}
