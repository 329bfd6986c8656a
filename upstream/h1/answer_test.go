package h1

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// readAnswer reads an answer to a method as a Client does.
func readAnswer(method string, from io.Reader) (*http.Response, string, error) {
	c := &conn{in: bufio.NewReader(from)}
	h, _, _, err := readHead(c.in, nil)
	if err != nil {
		return nil, "", err
	}
	f, length, err := framingOf(method, h)
	if err != nil {
		return nil, "", err
	}
	r, _ := http.NewRequest(method, "http://west/", nil)
	response := newResponse(r, h, length)
	c.attach(response, f, func(bool) {})
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\n"
	for _, test := range []struct {
		name, method, answer string
		want                 string // the body, or ERR
	}{
		{"a length", "GET", ok + "Content-Length: 5\n\nhello", "hello"},
		{"a length said twice", "GET", ok + "Content-Length: 5\nContent-Length: 5\n\nhello", "hello"},
		{"two lengths", "GET", ok + "Content-Length: 5\nContent-Length: 6\n\nhello!", "ERR"},
		{"a list of lengths", "GET", ok + "Content-Length: 5, 5\n\nhello", "ERR"},
		{"a signed length", "GET", ok + "Content-Length: +5\n\nhello", "ERR"},
		{"a negative length", "GET", ok + "Content-Length: -1\n\n", "ERR"},
		{"an endless length", "GET", ok + "Content-Length: 99999999999999999999\n\n", "ERR"},
		{"cut short", "GET", ok + "Content-Length: 5\n\nhell", "ERR"},
		{"until it closes", "GET", ok + "\nhello", "hello"},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\n\nhello", "hello"},
		{"no reason", "GET", "HTTP/1.1 200\nContent-Length: 0\n\n", ""},
		{"HEAD", "HEAD", ok + "Content-Length: 5\n\n", ""},
		{"204", "GET", "HTTP/1.1 204 No\n\n", ""},
		{"304 with a length", "GET", "HTTP/1.1 304 No\nContent-Length: 5\n\n", ""},
		{"chunks", "GET", ok + "Transfer-Encoding: chunked\n\n3\nabc\n2;x=y\nde\n0\n\n", "abcde"},
		{"chunks in capitals", "GET", ok + "Transfer-Encoding: Chunked\n\nA\n0123456789\n0\n\n", "0123456789"},
		{"chunks with a trailer", "GET", ok + "Transfer-Encoding: chunked\nTrailer: X\n\n1\na\n0\nX: 1\n\n", "a"},
		{"chunks cut short", "GET", ok + "Transfer-Encoding: chunked\n\n3\nabc\n", "ERR"},
		{"chunks cut before the trailer", "GET", ok + "Transfer-Encoding: chunked\n\n3\nabc\n0\n", "ERR"},
		{"a chunk that is too long", "GET", ok + "Transfer-Encoding: chunked\n\n3\nabcd\n0\n\n", "ERR"},
		{"a size with a blank", "GET", ok + "Transfer-Encoding: chunked\n\n3 \nabc\n0\n\n", "ERR"},
		{"a size with 0x", "GET", ok + "Transfer-Encoding: chunked\n\n0x3\nabc\n0\n\n", "ERR"},
		{"an endless size", "GET", ok + "Transfer-Encoding: chunked\n\nfffffffffffffffff\nabc", "ERR"},
		{"no size", "GET", ok + "Transfer-Encoding: chunked\n\n\nabc\n0\n\n", "ERR"},
		{"chunks and a length", "GET", ok + "Transfer-Encoding: chunked\nContent-Length: 3\n\n3\nabc\n0\n\n", "ERR"},
		{"chunks in HTTP/1.0", "GET", "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n0\n\n", "ERR"},
		{"gzip", "GET", ok + "Transfer-Encoding: gzip, chunked\n\n0\n\n", "ERR"},
		{"chunked twice", "GET", ok + "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n", "ERR"},
		{"a folded field", "GET", ok + "A: b\n c\nContent-Length: 0\n\n", "ERR"},
		{"a blank before the colon", "GET", ok + "Content-Length : 0\n\n", "ERR"},
		{"no name", "GET", ok + ": 0\n\n", "ERR"},
		{"no colon", "GET", ok + "Hello\n\n", "ERR"},
		{"a NUL", "GET", ok + "A: b\x00c\n\n", "ERR"},
		{"another protocol", "GET", "ICY 200 OK\n\n", "ERR"},
		{"HTTP/2", "GET", "HTTP/2.0 200 OK\n\n", "ERR"},
		{"a short status", "GET", "HTTP/1.1 20 OK\n\n", "ERR"},
		{"a long status", "GET", "HTTP/1.1 2000 OK\n\n", "ERR"},
		{"a signed status", "GET", "HTTP/1.1 +20 OK\n\n", "ERR"},
		{"nothing", "GET", "", "ERR"},
		{"half a head", "GET", ok + "A: b", "ERR"},
		{"endless fields", "GET", ok + "A: " + strings.Repeat("x", maxHead) + "\n\n", "ERR"},
		{"many fields", "GET", ok + strings.Repeat("A: b\n", maxFields+1) + "\n", "ERR"},
	} {
		answer := strings.ReplaceAll(test.answer, "\n", "\r\n")
		for _, from := range []io.Reader{strings.NewReader(answer), iotest.OneByteReader(strings.NewReader(answer))} {
			response, body, err := readAnswer(test.method, from)
			if err != nil {
				body = "ERR"
			}
			if body != test.want {
				t.Errorf("%s: %q %v, want %q", test.name, body, err, test.want)
			}
			if err == nil && len(response.Header["Content-Length"]) > 1 {
				t.Errorf("%s: Content-Length is %q", test.name, response.Header["Content-Length"])
			}
		}
		if test.want != "ERR" {
			_, _, err := readAnswer(test.method, strings.NewReader(test.answer))
			if !errors.Is(err, ErrNonsense) {
				t.Errorf("%s, in plain lines: %v", test.name, err)
			}
		}
	}
}

// FuzzAnswer: what is taken for an answer here is the same one to net/http, however it is cut into reads.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.0 404 No\r\nA: b\r\na: c\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 304\r\n\r\n", "HTTP/1.1 206 P\r\nContent-Range: bytes 0-0/1\r\nContent-Length: 1\r\n\r\nx",
	} {
		f.Add(text, "GET")
		f.Add(text, "HEAD")
	}
	f.Fuzz(func(t *testing.T, text, method string) {
		if method != http.MethodGet && method != http.MethodHead {
			return
		}
		got, body, err := readAnswer(method, strings.NewReader(text))
		cut, cutBody, cutErr := readAnswer(method, iotest.OneByteReader(strings.NewReader(text)))
		if (err == nil) != (cutErr == nil) || body != cutBody || (got == nil) != (cut == nil) {
			t.Fatalf("%q %v, in pieces %q %v", body, err, cutBody, cutErr)
		}
		if err != nil || got.StatusCode < 200 {
			return
		}
		r, _ := http.NewRequest(method, "http://west/", nil)
		want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), r)
		if err != nil {
			t.Fatalf("net/http: %v", err)
		}
		wantBody, err := io.ReadAll(want.Body)
		if err != nil || string(wantBody) != body || want.StatusCode != got.StatusCode {
			t.Fatalf("%d %q, net/http %d %q %v", got.StatusCode, body, want.StatusCode, wantBody, err)
		}
		want.Header.Del("Connection")
		got.Header.Del("Connection")
		if !reflect.DeepEqual(normal(got.Header), normal(want.Header)) || got.ContentLength != want.ContentLength {
			t.Fatalf("%v %d, net/http %v %d", got.Header, got.ContentLength, want.Header, want.ContentLength)
		}
	})
}

// normal leaves out what net/http writes anew.
func normal(header http.Header) http.Header {
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	for _, name := range []string{"Content-Length", "Pragma", "Cache-Control", "Trailer"} {
		header.Del(name)
	}
	return header
}
