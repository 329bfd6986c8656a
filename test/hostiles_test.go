package test

import (
	"fmt"
	"strings"
)

// Parts of hostile requests.
const (
	blobOf    = "/v2/{C}/blobs/sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	upload    = "/v2/{C}/blobs/uploads/1?fairlead-replica=westus"
	arriving  = "/v2/{C}/blobs/uploads/1" // the same as the upstream sees it
	toHost    = "Host: {H}\r\n"
	patchLine = "PATCH " + upload + " HTTP/1.1\r\n" + toHost
	getLine   = "GET " + blobOf + " HTTP/1.1\r\n" + toHost
	// smuggled is what an attacker would have read as a request.
	smuggled = "GET /v2/smuggled/manifests/v1 HTTP/1.1\r\nHost: {H}\r\n\r\n"
)

func hostiles() (all []hostile) {
	for _, some := range [][]hostile{codings(), lengths(), lineEnds(), characters(), requestLines(), hosts(), chunked(),
		oddPaths(), perHop(), claimed(), oversized(), bodiesOfReads(), expectations(), firstGood()} {
		all = append(all, some...)
	}
	return all
}

func bad(text string) hostile { return hostile{verdict: malformed, text: text} }

// codings are Transfer-Encodings, with and without a Content-Length on either side.
func codings() (all []hostile) {
	for field, alone := range map[string]verdict{
		"Transfer-Encoding: chunked": passes, "transfer-encoding:\tchunked \t": passes, "TRANSFER-ENCODING:CHUNKED": passes,
		" Transfer-Encoding: chunked": malformed, "\tTransfer-Encoding: chunked": malformed,
		"Transfer-Encoding : chunked": malformed, "Transfer-Encoding\t: chunked": malformed,
		"Transfer-Encoding\r\n: chunked": malformed, "Transfer-Encoding:\r\n chunked": malformed,
		"Transfer-Encoding: \x0bchunked": malformed, "Transfer-Encoding: \x0cchunked": malformed,
		"Transfer-Encoding: chunked\x00": malformed, "Transfer-Encoding: \x00chunked": malformed,
		"Transfer-Encoding: \rchunked": malformed, "X: y\nTransfer-Encoding: chunked": malformed,
		"X: y\rTransfer-Encoding: chunked": malformed, "X: y\r\n Transfer-Encoding: chunked": malformed,
		"Transfer-Encoding: chunked, identity": malformed, "Transfer-Encoding: identity, chunked": malformed,
		"Transfer-Encoding: chunked, chunked": malformed, "Transfer-Encoding: ,chunked": malformed,
		"Transfer-Encoding: chunked,": malformed, "Transfer-Encoding: identity": malformed,
		"Transfer-Encoding: gzip, chunked": malformed, "Transfer-Encoding: chunked, gzip": malformed,
		"Transfer-Encoding: cow": malformed, "Transfer-Encoding: xchunked": malformed, "Transfer-Encoding: chunkedx": malformed,
		"Transfer-Encoding: chunked;q=1": malformed, "Transfer-Encoding: \"chunked\"": malformed,
		"Transfer-Encoding: 'chunked'": malformed, "Transfer-Encoding: chunk": malformed, "Transfer-Encoding:": malformed,
		"Transfer-Encoding: chu nked": malformed, "Transfer-Encoding: \xffchunked": malformed,
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked":  malformed,
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity": malformed,
		"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked": malformed,
		"Transfer-Encoding: chunked\r\nTransfer-Encoding:":          malformed,
		"Transfer_Encoding: chunked":                                malformed,
		"Transfer-Encoding;: chunked":                               malformed,
		"\x00Transfer-Encoding: chunked":                            malformed,
		"Transfer-\xc4\xb1ncoding: chunked":                         malformed,
	} {
		h := hostile{verdict: alone, text: patchLine + field + "\r\n\r\n5\r\nhello\r\n0\r\n\r\n", method: "PATCH",
			target: arriving, body: "hello"}
		length := "Content-Length: 5\r\n"
		all = append(all, h,
			bad(patchLine+field+"\r\n"+length+"\r\n0\r\n\r\n"+smuggled),
			bad(patchLine+length+field+"\r\n\r\n0\r\n\r\n"+smuggled),
			bad("PATCH "+upload+" HTTP/1.0\r\n"+toHost+"Connection: keep-alive\r\n"+field+"\r\n\r\n0\r\n\r\n"+smuggled))
	}
	return all
}

// lengths are Content-Lengths.
func lengths() (all []hostile) {
	for _, value := range []string{"5, 5", "5,5", "5;5", "+5", "-5", "-0", "5 5", "5 ,", ",5", "0x5", "5e0", "5.0", "5_0", "",
		"five", "\"5\"", "9223372036854775808", "18446744073709551621", "99999999999999999999999", "5\x00", "\x0b5",
		"5\r\n 0", "\xd9\xa5", "5\t5", "1 0", "5\r\nContent-Length: 5", "5\r\nContent-Length: 0", "0\r\nContent-Length: 5",
		"5\r\ncontent-length: 6", "5\r\nContent_Length: 0", "5\r\nContent-Length : 0", "5\r\n Content-Length: 0",
		"5\nContent-Length: 0", "5\rContent-Length: 0"} {
		all = append(all, bad(patchLine+"Content-Length: "+value+"\r\n\r\nhello"+smuggled))
	}
	for _, good := range []string{"5", " 5 ", "\t5\t", "00000005", "5\r\nX-Content-Length: 0", "5\r\nContent-Length-X: 0"} {
		all = append(all, hostile{text: patchLine + "Content-Length:" + good + "\r\n\r\nhello", verdict: passes,
			method: "PATCH", target: arriving, body: "hello"})
	}
	return all
}

// lineEnds are other ends than CR and LF, after each line of a head.
func lineEnds() (all []hostile) {
	lines := []string{"GET " + blobOf + " HTTP/1.1", "Host: {H}", "X: y", "Accept: */*"}
	for i := range lines {
		for _, end := range []string{"\n", "\r", "\r\r\n", "\n\r\n", "\n\n", "\r\n ", "\r\n\t", "\x0b\r\n", "\x0c\r\n",
			"\x85\n", "\x00\r\n", "\r\n\r", "\r\n\n", " \n", "\\r\\n", "\xe5\x98\x8a\xe5\x98\x8d"} {
			if i > 0 && (end == "\\r\\n" || end[0] == 0xe5) {
				continue // such bytes may stand in a value
			}
			text := strings.Join(lines[:i+1], "\r\n") + end + strings.Join(append(lines[i+1:], "X-Smuggled: z", "", ""), "\r\n")
			all = append(all, bad(text))
		}
	}
	for _, end := range []string{"\n", "\r", "\r\r\n"} {
		all = append(all, bad(getLine+end))
	}
	return append(all, bad("\r\n\r\n"+getLine+"\r\n"), bad("\n"+getLine+"\r\n"), bad("\r"+getLine+"\r\n"), bad(" "+getLine+"\r\n"),
		hostile{verdict: passes, text: "\r\n" + getLine + "\r\n", method: "GET", target: blobOf})
}

// characters puts each that has no place there into a method, a target, a name and a value.
func characters() (all []hostile) {
	for c := range 0x100 {
		b := string([]byte{byte(c)})
		control := c < ' ' || c == 0x7f
		if control {
			all = append(all, bad("GE"+b+"T "+blobOf+" HTTP/1.1\r\n"+toHost+"\r\n"))
		}
		if control || c == ' ' || c == '#' || c >= 0x80 && c%16 == 0 || c == 0xff {
			all = append(all, bad("GET "+blobOf+"?a="+b+"z HTTP/1.1\r\n"+toHost+"\r\n"))
			if c != '#' {
				all = append(all, bad("GET /v2/{C}/"+b+"manifests/v1 HTTP/1.1\r\n"+toHost+"\r\n"))
			}
		}
		if control || strings.ContainsRune("()<>@,;\\\"/[]?={} ", rune(c)) || c == 0x80 || c == 0xff {
			all = append(all, bad(getLine+"X"+b+"Y: z\r\n\r\n"), bad(getLine+b+": z\r\n\r\n"))
		}
		switch {
		case control && c != '\t':
			all = append(all, bad(getLine+"X: y"+b+"z\r\n\r\n"))
		case c == '\t' || c >= 0x80 && c%32 == 0:
			all = append(all, hostile{verdict: passes, text: getLine + "X: y" + b + "z\r\n\r\n", method: "GET", target: blobOf})
		}
	}
	return append(all, bad(getLine+"X\r\n\r\n"), bad(getLine+": y\r\n\r\n"), bad(getLine+"X : y\r\n\r\n"))
}

func requestLines() (all []hostile) {
	for _, line := range []string{
		"GET " + blobOf, "GET  " + blobOf + " HTTP/1.1", "GET " + blobOf + "  HTTP/1.1", "GET " + blobOf + " HTTP/1.1 ",
		"GET\t" + blobOf + "\tHTTP/1.1", "GET " + blobOf + "\tHTTP/1.1", "GET " + blobOf + " HTTP/1.1 HTTP/1.1",
		"GET " + blobOf + " x HTTP/1.1", " GET " + blobOf + " HTTP/1.1", "GET " + blobOf + " http/1.1",
		"GET " + blobOf + " HTTP/1.10", "GET " + blobOf + " HTTP/01.1", "GET " + blobOf + " HTTP/1.1.1", "GET " + blobOf + " HTTP/1",
		"GET " + blobOf + " HTTP /1.1", "GET " + blobOf + " HTTP/1.1x", "GET " + blobOf + " HTTP/9.9", "GET " + blobOf + " HTTP/0.9",
		"GET " + blobOf + " HTTP/1.2", "GET " + blobOf + " HTTP/2.0", "GET " + blobOf + " HTTP/-1.1", "GET " + blobOf + " XTTP/1.1",
		"GET " + blobOf + " ", "GET", "GET ", blobOf + " HTTP/1.1", ": GET " + blobOf + " HTTP/1.1",
		"PRI * HTTP/2.0", "CONNECT {H}:443 HTTP/1.1", "CONNECT " + blobOf + " HTTP/1.1", "GET {H}:443 HTTP/1.1", "GET * HTTP/1.1",
		"GET v2/{C}/manifests/v1 HTTP/1.1", "GET ?x HTTP/1.1", "GET http://other.example" + blobOf + " HTTP/1.1",
		"GET http://{H}:80" + blobOf + " HTTP/1.1", "GET http://{H}@other.example" + blobOf + " HTTP/1.1",
		"GET http://u:p@{H}" + blobOf + " HTTP/1.1", "GET http:" + blobOf + " HTTP/1.1", "GET http:///" + blobOf + " HTTP/1.1",
		"GET ftp://{H}" + blobOf + " HTTP/1.1", "GET file://" + blobOf + " HTTP/1.1", "GET http://{H}\\@other.example/ HTTP/1.1",
		"GET http://[::1]" + blobOf + " HTTP/1.1", "GET " + blobOf + "#x HTTP/1.1", "GET " + blobOf + "%zz HTTP/1.1",
		"GET " + blobOf + "% HTTP/1.1", "GET /v2/{C}/%c0%ae%c0%ae/\xc0\xae HTTP/1.1", "(GET) " + blobOf + " HTTP/1.1",
	} {
		all = append(all, bad(line+"\r\n"+toHost+"\r\n"))
	}
	for _, method := range []string{"get", "Get", "TRACE", "TRACK", "PROPFIND", "FETCH", "G", "GET1", "X-GET", "!"} {
		all = append(all, hostile{verdict: refused, text: method + " " + blobOf + " HTTP/1.1\r\n" + toHost + "\r\n"})
	}
	return append(all,
		hostile{verdict: passes, text: "GET http://{H}" + blobOf + " HTTP/1.1\r\n" + toHost + "\r\n", method: "GET", target: blobOf},
		hostile{verdict: passes, text: "GET HTTPS://{H}" + blobOf + " HTTP/1.1\r\n" + toHost + "\r\n", method: "GET", target: blobOf},
		hostile{verdict: passes, text: "GET " + blobOf + " HTTP/1.0\r\n" + toHost + "Connection: keep-alive\r\n\r\n", method: "GET",
			target: blobOf})
}

func hosts() (all []hostile) {
	const line = "GET " + blobOf + " HTTP/1.1\r\n"
	for _, fields := range []string{
		"", "X: y\r\n", "Host:\r\n", "Host: \t\r\n", "Host: {H}\r\nHost: {H}\r\n", "Host: {H}\r\nHost: other.example\r\n",
		"Host: other.example\r\nhost: {H}\r\n", "Host: {H}\r\nHost:\r\n", "Host: {H} other.example\r\n", "Host: {H}, other.example\r\n",
		"Host: u@{H}\r\n", "Host: {H}@other.example\r\n", "Host: {H}/v2/smuggled\r\n", "Host: {H}?x\r\n", "Host: {H}#x\r\n",
		"Host: {H}\\x\r\n", "Host: {H}:x\r\n", "Host: {H}:80:80\r\n", "Host: {H}:65536\r\n", "Host: {H}:-1\r\n", "Host: :80\r\n",
		"Host: [::1\r\n", "Host: ::1\r\n", "Host: [::1]x\r\n", "Host: [{H}]\r\n", "Host: [fe80::1%25eth0]\r\n", "Host: {H}%00\r\n",
		"Host: {H}%0d%0aX-Smuggled:1\r\n", "Host: \"{H}\"\r\n", "Host: <{H}>\r\n", "Host: {H}\xc3\xa9\r\n", "Host: {H}\x00\r\n",
		"Host: http://{H}\r\n", "Host: {H};x\r\n", "Host: {H}|x\r\n", "Host: ../..\r\n", "Host : {H}\r\n", " Host: {H}\r\n",
		"Host:\r\n {H}\r\n", "Host: {H}\r\n x\r\n",
	} {
		if fields == "" {
			all = append(all, bad(line+"\r\n"))
			continue
		}
		all = append(all, bad(line+fields+"\r\n"))
	}
	for _, good := range []string{"REGISTRY.example.test", "{H}:5000", "{H}.", "{H}:", "127.0.0.1:80", "[::1]:80", "my_host"} {
		all = append(all, hostile{verdict: passes, text: line + "Host: " + good + "\r\n\r\n", method: "GET", target: blobOf})
	}
	return all
}

// chunked are bodies. A size, an end or a trailer that is wrong has the request never arrive in full.
func chunked() (all []hostile) {
	const head = patchLine + "Transfer-Encoding: chunked\r\n\r\n"
	for _, body := range []string{
		"\r\n", "\n", "x\r\n", "5\nhello\r\n0\r\n\r\n", "5\rhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r0\r\n\r\n",
		"5\r\nhello0\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n", "6\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n",
		"5 \r\nhello\r\n0\r\n\r\n", "5\t\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n",
		"-5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5_\r\nhello\r\n0\r\n\r\n", "5,\r\nhello\r\n0\r\n\r\n",
		"\x005\r\nhello\r\n0\r\n\r\n", "5\x00\r\nhello\r\n0\r\n\r\n", "\xd9\xa5\r\nhello\r\n0\r\n\r\n",
		"00000000000000005\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"10000000000000005\r\nhello\r\n0\r\n\r\n", "100000000\n", "5 ;a\r\nhello\r\n0\r\n\r\n", "5; a\r\nhello\r\n0\r\n\r\n",
		"5;\r\nhello\r\n0\r\n\r\n", "5;a\nx\r\nhello\r\n0\r\n\r\n", "5;a\rx\r\nhello\r\n0\r\n\r\n", "5;a=\"\r\nhello\r\n0\r\n\r\n",
		"5;\x00\r\nhello\r\n0\r\n\r\n", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", "5;a=" + strings.Repeat("b", 4000) + "\r\nhello\r\n0\r\n\r\n",
		"5\r\nhello\r\n0\r\nX : y\r\n\r\n", "5\r\nhello\r\n0\r\n X: y\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\n\r\n",
		"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", "5\r\nhello\r\n0\r\nX: \x00\r\n\r\n", "5\r\nhello\r\n0\r\nX\r\n\r\n",
		"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"5\r\nhello\r\n0\r\nHost: other.example\r\n\r\n", "5\r\nhello\r\n0\r\nAuthorization: Basic x\r\n\r\n",
		"5\r\nhello\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", "5\r\nhello\r\n0\r\n" + strings.Repeat("X: y\r\n", 1000) + "\r\n",
	} {
		all = append(all, hostile{verdict: cutOff, text: head + body})
	}
	for _, body := range []string{
		"5\r\nhello\r\n0\r\n\r\n", "0000000000000005\r\nhello\r\n0\r\n\r\n", "2\r\nhe\r\n3\r\nllo\r\n000\r\n\r\n",
		"5;a;b=c;d=\"e\\\" f\"\r\nhello\r\n0;x\r\n\r\n", "5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n",
		"1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n",
	} {
		all = append(all, hostile{verdict: passes, text: head + body, method: "PATCH", target: arriving, body: "hello"})
	}
	inner := strings.ReplaceAll(smuggled, "{H}", hostname)
	return append(all, hostile{verdict: passes, text: head + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(inner), inner), method: "PATCH",
		target: arriving, body: inner},
		bad(patchLine+"Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\nContent-Length: 5\r\n\r\n"))
}

// oddPaths are paths that some server reads as others.
func oddPaths() (all []hostile) {
	for _, path := range []string{
		"/v2/../v2/{C}/manifests/v1", "/v2/{C}/../../metrics", "/v2/{C}/./manifests/v1", "/v2/{C}/manifests/../../../metrics",
		"/v2/{C}/%2e%2e/%2e%2e/metrics", "/v2/{C}/%2e/manifests/v1", "/v2/{C}/.%2e/manifests/v1", "/v2/{C}/%2E%2E/manifests/v1",
		"/v2/{C}/..%2fmanifests/v1", "/v2/..%2f..%2fmetrics", "/v2/..%5cmetrics", "/v2/{C}/..\\..\\metrics", "/v2/{C}\\manifests\\v1",
		"/v2//{C}/manifests/v1", "//v2/{C}/manifests/v1", "/v2/{C}//manifests/v1", "/v2/{C}/manifests//v1", "/v2/{C}%2f/manifests/v1",
		"/v2/{C}/;/../manifests/v1", "/v2/{C};a=b/manifests/v1", "/v2/..;/{C}/manifests/v1", "/v2/{C}/manifests/v1;x",
		"/v2/{C}%3bx/manifests/v1", "/v2/%252e%252e/{C}", "/v2/{C}/%252f/manifests/v1", "/v2/{C}%25/manifests/v1", "/v2/{C}%00/manifests/v1",
		"/v2/{C}%0d%0aX-Smuggled:%201/manifests/v1", "/v2/{C}%0a/manifests/v1", "/v2/{C}%09/manifests/v1", "/v2/{C}%7f/manifests/v1",
		"/v2/{C}/%5c../manifests/v1", "/metrics", "/v2/../metrics", "/", "/debug/pprof/", "/healthz", "/v3/{C}/manifests/v1",
		"/V2/{C}/manifests/v1", "/v2{C}/manifests/v1", "/v2/{C}/Manifests/v1", "/v2/{C}/manifests/v1/", "/v2/{C}/MANIFESTS/v1",
		"/%2e%2e/metrics", "/%2fv2/{C}/manifests/v1", "/.//v2/{C}/manifests/v1",
	} {
		all = append(all, hostile{verdict: refused, text: "GET " + path + " HTTP/1.1\r\n" + toHost + "\r\n"})
	}
	for from, to := range map[string]string{
		"/v2/{C}/%6danifests/v1": "/v2/{C}/manifests/v1", "/%76%32/{C}/manifests/v1": "/v2/{C}/manifests/v1",
		"/v2%2f{C}/manifests/v1": "/v2/{C}/manifests/v1", "/v2/{C}/tags%2flist": "/v2/{C}/tags/list",
		"/v2/{C}/manifests/v1?a=%0d%0aX-Smuggled:%201":          "/v2/{C}/manifests/v1?a=%0d%0aX-Smuggled:%201",
		"/v2/{C}/manifests/v1?a=%zz&b=\"<>|{}^`\\":              "/v2/{C}/manifests/v1?a=%zz&b=\"<>|{}^`\\",
		"/v2/{C}/manifests/v1?a=b?c=/../../metrics":             "/v2/{C}/manifests/v1?a=b?c=/../../metrics",
		"/v2/{C}/manifests/sha256%3A" + strings.Repeat("0", 64): "/v2/{C}/manifests/sha256:" + strings.Repeat("0", 64),
	} {
		if strings.Contains(from, "sha256") {
			continue // its answer is not what its digest says
		}
		all = append(all, hostile{verdict: passes, text: "GET " + from + " HTTP/1.1\r\n" + toHost + "\r\n", method: "GET", target: to})
	}
	return all
}

// perHop are fields that are for the next one only, or that name others so.
func perHop() (all []hostile) {
	for fields, gone := range map[string][]string{
		"Connection: Authorization\r\nAuthorization: Basic eDp5\r\n": {"Authorization"},
		"Connection: Host\r\n": nil,
		"Connection: X-Forwarded-For, X-Forwarded-Host, Via\r\n": nil,
		"Connection: Content-Length\r\n":                         nil,
		"Connection: Transfer-Encoding, TE\r\nTE: trailers\r\n":  nil,
		"Connection: Upgrade\r\nUpgrade: websocket\r\n":          nil,
		"Upgrade: h2c\r\n": nil,
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n": {"HTTP2-Settings"},
		"Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n":                {"X-Secret"},
		"Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n":                         {"Proxy-Authorization"},
		"Connection: ,,;=@\r\n": nil, "Connection: x\"y\r\n": nil, "Connection:\r\n": nil,
	} {
		all = append(all,
			hostile{verdict: passes, text: getLine + fields + "\r\n", method: "GET", target: blobOf, gone: gone},
			hostile{verdict: passes, text: patchLine + fields + "Content-Length: 5\r\n\r\nhello", method: "PATCH", target: arriving,
				body: "hello", gone: gone})
	}
	return all
}

// claimed are fields by which a client says what is not his to say.
func claimed() (all []hostile) {
	for _, name := range []string{"X-Http-Method-Override", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url", "X-Real-Ip",
		"X-Forwarded-Prefix", "X-Forwarded-User", "X-Remote-User"} {
		all = append(all, hostile{verdict: passes, text: getLine + name + ": /v2/smuggled\r\n\r\n", method: "GET", target: blobOf,
			gone: []string{name}})
	}
	return append(all, hostile{verdict: passes, text: getLine + "Content-Encoding: chunked\r\nX-Chunked: 1\r\n\r\n", method: "GET",
		target: blobOf, arrives: []string{"X-Chunked"}})
}

func oversized() []hostile {
	return []hostile{
		bad(getLine + "X: " + strings.Repeat("y", 70_000) + "\r\n\r\n"),
		bad(getLine + strings.Repeat("y", 70_000) + ": x\r\n\r\n"),
		bad(getLine + strings.Repeat("X: y\r\n", 101) + "\r\n"),
		bad(getLine + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 70) + "\r\n"),
		bad("GET /v2/{C}/" + strings.Repeat("y", 70_000) + " HTTP/1.1\r\n" + toHost + "\r\n"),
		bad(strings.Repeat("G", 70_000) + " / HTTP/1.1\r\n" + toHost + "\r\n"),
		bad(getLine + "X: " + strings.Repeat("y", 300_000) + "\r\n\r\n"),
		{verdict: passes, text: getLine + "X: " + strings.Repeat("y", 30_000) + "\r\n\r\n", method: "GET", target: blobOf},
		{verdict: passes, text: getLine + strings.Repeat("X: y\r\n", 90) + "\r\n", method: "GET", target: blobOf},
	}
}

// bodiesOfReads hold a request, which must stay a body.
func bodiesOfReads() (all []hostile) {
	inner := strings.ReplaceAll(smuggled, "{H}", hostname)
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		for _, framed := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(inner), inner),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(inner), inner),
		} {
			h := hostile{verdict: passes, text: method + " " + blobOf + " HTTP/1.1\r\n" + toHost + framed, method: method,
				target: blobOf}
			if method == "OPTIONS" {
				h.body = inner // it may have one
			}
			all = append(all, h)
		}
	}
	return append(all, hostile{verdict: passes, text: patchLine + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(inner), inner),
		method: "PATCH", target: arriving, body: inner})
}

func expectations() (all []hostile) {
	for _, value := range []string{"200-ok", "100-continue, x", "x", "100-continued", "100 continue"} {
		all = append(all, bad(patchLine+"Expect: "+value+"\r\nContent-Length: 5\r\n\r\nhello"))
	}
	return append(all, hostile{verdict: passes, text: patchLine + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
		method: "PATCH", target: arriving, body: "hello"})
}

// firstGood are good requests behind which something malformed comes at once: each has its own answer, in turn.
func firstGood() (all []hostile) {
	for _, behind := range []string{
		"GET /v2/smuggled/manifests/v1\r\n", "GET /v2/smuggled/manifests/v1 HTTP/1.1\n" + toHost + "\r\n", "\x16\x03\x01\x02\x00",
		"GET /v2/smuggled/manifests/v1 HTTP/1.1\r\n\r\n", "\r\n\r\n" + smuggled, " " + smuggled, "\x00" + smuggled, "0\r\n\r\n" + smuggled,
		"GET /v2/smuggled/manifests/v1 HTTP/1.1\r\n" + toHost + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		all = append(all,
			hostile{verdict: passes, ends: true, text: getLine + "\r\n" + behind, method: "GET", target: blobOf},
			hostile{verdict: passes, ends: true, text: patchLine + "Content-Length: 5\r\n\r\nhello" + behind, method: "PATCH",
				target: arriving, body: "hello"},
			hostile{verdict: passes, ends: true, text: patchLine + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + behind,
				method: "PATCH", target: arriving, body: "hello"})
	}
	return all
}
