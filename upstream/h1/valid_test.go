package h1

import (
	"errors"
	"fmt"
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
		if err := validate(r, a); (err == nil) != test.want || err != nil && !errors.Is(err, ErrNonsense) {
			t.Errorf("%s %s answered %d %s, %d bytes: %v, want valid %v", test.method, test.asked, test.status,
				test.header, test.length, err, test.want)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/100")
	f.Add("bytes 5-9/*")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ParseContentRange(text)
		if !ok {
			return
		}
		var a ContentRange
		size := "*"
		if got.Size >= 0 {
			size = fmt.Sprint(got.Size)
		}
		if b, ok := ParseContentRange(fmt.Sprintf("bytes %d-%d/%s", got.First, got.Last, size)); !ok || b != got ||
			got.First > got.Last || got.First < a.First {
			t.Fatalf("%q: %+v, and written anew %+v %v", text, got, b, ok)
		}
	})
}
