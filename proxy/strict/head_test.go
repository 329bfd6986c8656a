package strict

import (
	"fmt"
	"strings"
	"testing"
)

const host = "Host: registry.contoso.com\r\n"

// good are heads, and what follows them, that clients send or may.
var good = []string{
	"GET /v2/ HTTP/1.1\r\n" + host + "\r\n",
	"GET /v2/app/manifests/v1?ns=docker.io HTTP/1.1\r\nhost:registry.contoso.com:5000 \r\nuser-agent:\tcontainerd/2.1\r\n\r\n",
	"GET /v2/app/manifests/sha256%3A00 HTTP/1.1\r\n" + host + "Accept: a/b, c/d\r\nAccept: e/f\r\nX-Empty:\r\nX-Tab: a\tb\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
	"OPTIONS / HTTP/1.0\r\n\r\n", // haproxy's check
	"GET / HTTP/1.0\r\nHost:\r\n\r\n",
	"GET /v2/ HTTP/1.1\r\nHost: [::1]:5000\r\n\r\n",
	"GET /v2/ HTTP/1.1\r\nHost: my_registry.:\r\n\r\n",
	"GET http://registry.contoso.com/v2/ HTTP/1.1\r\nHost: Registry.contoso.com\r\n\r\n",
	"GET https://registry.contoso.com?x=/ HTTP/1.1\r\n" + host + "\r\n",
	"GET /v2/?state=%zz|{}\"<>^`\\ HTTP/1.1\r\n" + host + "\r\n",
	"GET //v2/..;/ HTTP/1.1\r\n" + host + "Authorization: Bearer " + strings.Repeat("x", 30_000) + "\r\n\r\n",
	"GET /v2/ HTTP/1.1\r\n" + host + "X: \xe9\xff\r\nExpect:\r\n\r\n",
	"\r\nGET /v2/ HTTP/1.1\r\n" + host + "\r\n",
	"get /v2/ HTTP/1.1\r\n" + host + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
	"PUT /v2/ HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n",
	"PUT /v2/ HTTP/1.1\r\n" + host + "Content-Length:5 \r\nExpect: 100-Continue\r\n\r\nhello",
	"PUT /v2/ HTTP/1.0\r\nContent-Length: 00000005\r\nConnection: keep-alive\r\n\r\nhello",
	"GET /v2/ HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", MaxFields-1) + "\r\n",
	chunkedHead + "0\r\n\r\n",
	chunkedHead + "5\r\nhello\r\n0\r\n\r\n",
	chunkedHead + "0000000000000005\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n",
	chunkedHead + "5;a;b=c;d=\"e; \\\"f\"\r\nhello\r\n0;x\r\n\r\n",
	chunkedHead + "5\r\nhello\r\n0\r\nX-Checksum: 1\r\nY:\r\n\r\n",
	"PATCH /v2/ HTTP/1.1\r\n" + host + "transfer-encoding: Chunked\r\nTrailer: X-Checksum, Y\r\n\r\n0\r\nX-Checksum: 1\r\n\r\n",
}

const chunkedHead = "PATCH /v2/ HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n"

// bad are those that break the rules in the head, and the status that they get.
var bad = []struct {
	status int
	text   string
}{
	{400, "GET /v2/ HTTP/1.1\n" + host + "\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a\r\n\n"},
	{400, "GET /v2/ HTTP/1.1\rHost: a\r\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n"},
	{400, "\r\n\r\nGET /v2/ HTTP/1.1\r\n" + host + "\r\n"},
	{400, "\nGET /v2/ HTTP/1.1\r\n" + host + "\r\n"},
	{400, " GET /v2/ HTTP/1.1\r\n" + host + "\r\n"},
	{400, "\x16\x03\x01\x02\x00\x01\x00\x01"}, // a TLS handshake, without a line's end
	{400, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /v2/ HTTP/1.1\r\n" + host + "\r\n"},
	{400, "\r\n\r\n\x00\r\nQUIT\n"}, // PROXY protocol 2
	// request lines
	{400, "GET /v2/\r\n"}, // HTTP/0.9
	{400, "GET  /v2/ HTTP/1.1\r\n"},
	{400, "GET /v2/  HTTP/1.1\r\n"},
	{400, "GET /v2/ HTTP/1.1 \r\n"},
	{400, "GET\t/v2/\tHTTP/1.1\r\n"},
	{400, "GET /v2/ HTTP/1.1 HTTP/1.1\r\n"},
	{400, "GET /v2/ http/1.1\r\n"},
	{400, "GET /v2/ HTTP/1.10\r\n"},
	{400, "GET /v2/ HTTP/1,1\r\n"},
	{400, "GET /v2/ ICY/1.1\r\n"},
	{505, "GET /v2/ HTTP/1.2\r\n"},
	{505, "GET /v2/ HTTP/0.9\r\n"},
	{505, "GET /v2/ HTTP/2.0\r\n"},
	{505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	{400, "G(T /v2/ HTTP/1.1\r\n"},
	{400, "G\x00T /v2/ HTTP/1.1\r\n"},
	{400, "GÉT /v2/ HTTP/1.1\r\n"},
	{400, "CONNECT registry.contoso.com:443 HTTP/1.1\r\n"},
	{400, "CONNECT /v2/ HTTP/1.1\r\n"},
	{400, "GET registry.contoso.com:443 HTTP/1.1\r\n"},
	{400, "GET v2/ HTTP/1.1\r\n"},
	{400, "GET * HTTP/1.1\r\n"},
	{400, "GET ?x HTTP/1.1\r\n"},
	{400, "GET ftp://registry.contoso.com/ HTTP/1.1\r\n"},
	{400, "GET http:/v2/ HTTP/1.1\r\n"},
	{400, "GET /v2/#x HTTP/1.1\r\n"},
	{400, "GET /v2/\x00 HTTP/1.1\r\n"},
	{400, "GET /v2/\x7f HTTP/1.1\r\n"},
	{400, "GET /v2/\xc3\xa9 HTTP/1.1\r\n"},
	{400, "GET /v2/?x=\xff HTTP/1.1\r\n"},
	{400, "GET /v2/\x0b HTTP/1.1\r\n"},
	{400, "GET /v2/%zz HTTP/1.1\r\n"},
	{400, "GET /v2/%4 HTTP/1.1\r\n"},
	{400, "GET http://u@registry.contoso.com/ HTTP/1.1\r\n"},
	{400, "GET http:///v2/ HTTP/1.1\r\n"},
	{400, "GET http://other.example/v2/ HTTP/1.1\r\n" + host + "\r\n"},
	{400, "GET http://registry.contoso.com:80/v2/ HTTP/1.1\r\n" + host + "\r\n"},
	{400, "GET http://registry.contoso.com/v2/ HTTP/1.0\r\n\r\n"},
	// fields
	{400, head1 + " X: y\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\n " + host + "\r\n"},
	{400, head1 + "X: y\r\n z\r\n\r\n"},
	{400, head1 + "X: y\r\n\tz\r\n\r\n"},
	{400, head1 + "X : y\r\n\r\n"},
	{400, head1 + "X\t: y\r\n\r\n"},
	{400, head1 + ": y\r\n\r\n"},
	{400, head1 + "X\r\n\r\n"},
	{400, head1 + "X(: y\r\n\r\n"},
	{400, head1 + "X\x00: y\r\n\r\n"},
	{400, head1 + "\xe9: y\r\n\r\n"},
	{400, head1 + "X: y\x00z\r\n\r\n"},
	{400, head1 + "X: y\x0bz\r\n\r\n"},
	{400, head1 + "X: \x7f\r\n\r\n"},
	{400, head1 + "X: y\x1b\r\n\r\n"},
	{431, head1 + strings.Repeat("X: y\r\n", MaxFields) + "\r\n"},
	{431, head1 + "X: " + strings.Repeat("y", MaxHead)},
	{431, "GET /v2/" + strings.Repeat("y", MaxHead)},
	// hosts
	{400, "GET /v2/ HTTP/1.1\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost:\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\n" + host + host + "\r\n"},
	{400, "GET /v2/ HTTP/1.0\r\n" + host + "host: b\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a b\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: u@a\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a/b\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a,b\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a:b\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a:65536\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a:1:2\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: :80\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a%2eb\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: [::1\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: [fe80::1%eth0]\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: [::1]a\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: ::1\r\n\r\n"},
	{400, "GET /v2/ HTTP/1.1\r\nHost: a\xc3\xa9\r\n\r\n"},
	// framing
	{400, head1 + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
	{400, head1 + "Content-Length: 5\r\nContent_Length: 6\r\n\r\n"},
	{400, head1 + "Content_Length: 6\r\n\r\n"},
	{400, head1 + "Content-Length: 5, 5\r\n\r\n"},
	{400, head1 + "Content-Length: +5\r\n\r\n"},
	{400, head1 + "Content-Length: -5\r\n\r\n"},
	{400, head1 + "Content-Length: 5 5\r\n\r\n"},
	{400, head1 + "Content-Length: 0x5\r\n\r\n"},
	{400, head1 + "Content-Length: 5.0\r\n\r\n"},
	{400, head1 + "Content-Length:\r\n\r\n"},
	{400, head1 + "Content-Length: 9223372036854775808\r\n\r\n"},
	{400, head1 + "Content-Length: 99999999999999999999\r\n\r\n"},
	{400, head1 + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{400, head1 + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
	{400, head1 + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"},
	{400, head1 + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
	{400, head1 + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{400, "PUT /v2/ HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n"},
	{501, head1 + "Transfer-Encoding: gzip\r\n\r\n"},
	{501, head1 + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
	{501, head1 + "Transfer-Encoding: chunked, chunked\r\n\r\n"},
	{501, head1 + "Transfer-Encoding: identity\r\n\r\n"},
	{501, head1 + "Transfer-Encoding: \"chunked\"\r\n\r\n"},
	{501, head1 + "Transfer-Encoding: chunked;x\r\n\r\n"},
	{501, head1 + "Transfer-Encoding: xchunked\r\n\r\n"},
	{501, head1 + "Transfer-Encoding:\r\n\r\n"},
	{400, head1 + "Transfer-Encoding: \x0bchunked\r\n\r\n"},
	{400, head1 + "Transfer-Encoding : chunked\r\n\r\n"},
	{400, head1 + "Trailer: X, content-length\r\n\r\n"},
	{417, head1 + "Expect: 200-ok\r\n\r\n"},
	{417, head1 + "Expect: 100-continue, x\r\n\r\n"},
}

const head1 = "PUT /v2/ HTTP/1.1\r\n" + host

// broken are bodies that break the rules behind a head that does not.
var broken = []string{
	"\r\n", "\n", "5\nhello\r\n0\r\n\r\n", "5\rhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r0\r\n\r\n",
	"5\r\nhello0\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n", "6\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n",
	"5 \r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "\t5\r\nhello\r\n0\r\n\r\n", "5\t\r\nhello\r\n0\r\n\r\n",
	"+5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5_0\r\nhello\r\n0\r\n\r\n",
	"g\r\n", "\x00\r\n", "00000000000000005\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "10000000000000005\r\n",
	"5 ;a\r\nhello\r\n0\r\n\r\n", "5; a\r\nhello\r\n0\r\n\r\n", "5;\r\nhello\r\n0\r\n\r\n", "5;a=\r\nhello\r\n0\r\n\r\n",
	"5;a =b\r\nhello\r\n0\r\n\r\n", "5;a=\"b\r\nhello\r\n0\r\n\r\n", "5;a=b\"\r\nhello\r\n0\r\n\r\n",
	"5;a\nX: y\r\nhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n", "5;a=\"\x00\"\r\nhello\r\n0\r\n\r\n",
	"5;a=\"\\\x00\"\r\nhello\r\n0\r\n\r\n", "5;;a\r\nhello\r\n0\r\n\r\n", "5;\xe9\r\nhello\r\n0\r\n\r\n",
	"5;a=" + strings.Repeat("b", maxChunkLine) + "\r\nhello\r\n0\r\n\r\n",
	strings.Repeat("1;a="+strings.Repeat("b", 200)+"\r\nx\r\n", 30) + "0\r\n\r\n",
	"0\r\nX : y\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\nX: y\r\n z\r\n\r\n", "0\r\nX: y\n\r\n", "0\r\n\n", "0\r\nX: \x00\r\n\r\n",
	"0\r\nno colon\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n", "0\r\ntransfer-encoding: chunked\r\n\r\n",
	"0\r\nHost: a\r\n\r\n", "0\r\nAuthorization: x\r\n\r\n", "0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", "0\r\nIf-Match: x\r\n\r\n",
	"0\r\nContent_Length: 5\r\n\r\n", "0\r\nX: " + strings.Repeat("y", maxTrailers) + "\r\n\r\n", "0\r\r\n",
}

// TestHeads holds for all at once, and for each byte on its own.
func TestHeads(t *testing.T) {
	for _, text := range good {
		for _, step := range []int{len(text), 1, 7} {
			if got := play(text, step, 4096); got.out != strings.TrimPrefix(text, "\r\n") || got.answer != "" {
				t.Errorf("%.200q in steps of %d: handed on %.200q, answered %q", text, step, got.out, got.answer)
			}
		}
	}
	for _, b := range bad {
		for _, step := range []int{len(b.text), 1, 7} {
			got := play(b.text, step, 4096)
			if want := fmt.Sprintf("HTTP/1.1 %d ", b.status); got.out != "" || !strings.HasPrefix(got.answer, want) {
				t.Errorf("%.200q in steps of %d: handed on %q, answered %q; want %s", b.text, step, got.out, got.answer, want)
			}
		}
	}
}

// TestBodies: what was valid is handed on, then what no reader takes.
func TestBodies(t *testing.T) {
	for _, body := range broken {
		for _, step := range []int{4096, 1, 7} {
			for _, room := range []int{4096, 600, 50} {
				got := play(chunkedHead+body, step, room)
				valid, cut := strings.CutSuffix(got.out, unreadable)
				if !cut || !strings.HasPrefix(chunkedHead+body, valid) || got.err == nil || got.answer != "" {
					t.Errorf("%.200q in steps of %d: %.300q %q %v", body, step, got.out, got.answer, got.err)
				}
			}
		}
	}
}
