package test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// Frames of HTTP/2 (RFC 9113, 6), and flags.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	flagEndStream, flagEndHeaders = 1, 4
)

// hostileStream is a request over HTTP/2: its fields in order, and a body where it has one.
type hostileStream struct {
	passes bool // else nothing of it may arrive in full
	fields [][2]string
	body   string
	target string // as it arrives; "": as it was sent
}

// h2 are fields in the usual order, with some changed or taken out (an empty name) by their name, and others added.
func h2(change map[string]string, more ...[2]string) (fields [][2]string) {
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", hostname}, {":path", blobOf}} {
		value, ok := change[f[0]]
		if !ok {
			value = f[1]
		}
		if value != "-" {
			fields = append(fields, [2]string{f[0], value})
		}
	}
	return append(fields, more...)
}

func hostileStreams() []hostileStream {
	type m = map[string]string
	type f = [2]string
	put := m{":method": "PATCH", ":path": upload}
	all := []hostileStream{
		{passes: true, fields: h2(nil)},
		{passes: true, fields: h2(nil, f{"host", hostname})},
		{passes: true, fields: h2(put, f{"content-length", "5"}), body: "hello", target: arriving},
		{passes: true, fields: h2(put), body: "hello", target: arriving},
		{passes: true, fields: h2(m{":authority": "-"}, f{"host", hostname})},
		{passes: true, fields: h2(nil, f{"te", "trailers"})},
	}
	for _, fields := range [][][2]string{
		h2(m{":method": "-"}), h2(m{":scheme": "-"}), h2(m{":path": "-"}), h2(m{":authority": "-"}), h2(m{":path": ""}),
		h2(m{":scheme": "ftp"}), h2(m{":method": ""}),
		h2(nil, f{":path", "/v2/smuggled/"}), h2(nil, f{":method", "PUT"}), h2(nil, f{":authority", hostname}),
		h2(nil, f{":status", "200"}), h2(nil, f{":x", "y"}), h2(nil, f{"x", "y"}, f{":path", "/v2/smuggled/"}),
		h2(m{":method": "GET " + blobOf + " HTTP/1.1\r\nX-Smuggled: 1\r\n\r\n"}), h2(m{":method": "GET\x00"}), h2(m{":method": "get"}),
		h2(m{":method": "CONNECT"}), h2(m{":method": "TRACE"}),
		h2(m{":path": blobOf + " HTTP/1.1\r\nX-Smuggled: 1\r\n\r\n"}), h2(m{":path": blobOf + "?a b"}), h2(m{":path": blobOf + "?a=\x00"}),
		h2(m{":path": blobOf + "?a=\xff"}), h2(m{":path": blobOf + "#x"}), h2(m{":path": blobOf[1:]}), h2(m{":path": "*"}),
		h2(m{":path": "https://other.example" + blobOf}), h2(m{":path": "https://" + hostname + blobOf}), h2(m{":path": "//x" + blobOf}),
		h2(m{":path": "/v2/{C}/../../metrics"}), h2(m{":path": "/v2/{C}/%2e%2e/x"}), h2(m{":path": "/v2/{C};x/manifests/v1"}),
		h2(m{":path": "/v2/{C}\\manifests\\v1"}), h2(m{":path": "/v2/{C}/%zz"}), h2(m{":path": "/v2/{C}/\xc3\xa9/manifests/v1"}),
		h2(m{":authority": hostname + "@other.example"}), h2(m{":authority": "u@" + hostname}), h2(m{":authority": hostname + "/x"}),
		h2(m{":authority": hostname + " x"}), h2(m{":authority": hostname + "\r\nX-Smuggled: 1"}), h2(m{":authority": hostname + ":x"}),
		h2(nil, f{"host", "other.example"}), h2(nil, f{"host", hostname}, f{"host", hostname}), h2(nil, f{"host", ""}),
		h2(nil, f{"X", "y"}), h2(nil, f{"x y", "z"}), h2(nil, f{"x:", "z"}), h2(nil, f{"", "z"}), h2(nil, f{"x\r\ny", "z"}), h2(nil, f{"x\x00", "z"}),
		h2(nil, f{"x", "y\r\nX-Smuggled: 1"}), h2(nil, f{"x", "y\nz"}), h2(nil, f{"x", "y\rz"}), h2(nil, f{"x", "y\x00z"}), h2(nil, f{"\xc3\xa9", "z"}),
		h2(nil, f{"connection", "close"}), h2(nil, f{"connection", "x"}, f{"x", "y"}), h2(nil, f{"keep-alive", "x"}),
		h2(nil, f{"proxy-connection", "x"}), h2(nil, f{"transfer-encoding", "chunked"}), h2(nil, f{"transfer-encoding", "identity"}),
		h2(nil, f{"upgrade", "h2c"}), h2(nil, f{"te", "chunked"}), h2(nil, f{"te", "trailers"}, f{"te", "trailers"}),
		h2(nil, f{"content-length", "5"}), h2(nil, f{"transfer_encoding", "chunked"}), h2(nil, f{"content_length", "5"}),
		h2(nil, f{"expect", "200-ok"}), h2(nil, f{"x", strings.Repeat("y", 200_000)}),
	} {
		all = append(all, hostileStream{fields: fields})
	}
	for _, length := range []string{"4", "6", "+5", "-5", "5, 5", "", "x", "0x5", "99999999999999999999", "5\r\nX-Smuggled: 1"} {
		all = append(all, hostileStream{fields: h2(put, f{"content-length", length}), body: "hello"})
	}
	return append(all,
		hostileStream{fields: h2(put, f{"content-length", "5"}, f{"content-length", "5"}), body: "hello"},
		hostileStream{fields: h2(put, f{"content-length", "5"}, f{"content-length", "6"}), body: "hello"},
		hostileStream{fields: h2(put, f{"transfer-encoding", "chunked"}), body: "0\r\n\r\n" + smuggled},
		hostileStream{passes: true, fields: h2(put), body: "0\r\n\r\n" + smuggled, target: arriving})
}

// TestSmugglingHTTP2 is TestSmuggling over HTTP/2, from where a request of one line becomes one of many.
func TestSmugglingHTTP2(t *testing.T) {
	t.Parallel()
	s := newSmuggling(t, true)
	all := oneOf(few(9, 1), hostileStreams())
	inParallel(len(all), func(i int) {
		if err := s.tryStream(all[i], i); err != nil {
			t.Errorf("%.300q: %v", all[i].fields, err)
		}
	})
	came, wrong := s.upstream.seen()
	for _, w := range wrong {
		t.Errorf("the upstream cannot read: %.300s", w)
	}
	by := map[string][]recorded{}
	for _, r := range came {
		if strings.Contains(r.target, "smuggled") || r.all("X-Smuggled") != nil {
			t.Errorf("smuggled: %+v", r)
		}
		if m := caseName.FindStringSubmatch(r.target); m != nil {
			by[m[1]] = append(by[m[1]], r)
		}
	}
	for i, h := range all {
		name := fmt.Sprint("c", i)
		switch came := by[name]; {
		case !h.passes && len(came) > 0:
			t.Errorf("%.300q: arrived as %+v", h.fields, came)
		case h.passes && (len(came) != 1 || came[0].body != h.body || came[0].all("Host")[0] != hostname ||
			h.target != "" && came[0].target != strings.ReplaceAll(h.target, "{C}", name)):
			t.Errorf("%.300q: arrived as %+v", h.fields, came)
		}
	}
	t.Logf("figure: %d hostile requests over HTTP/2; %d came to the upstream", len(all), len(came))
}

// tryStream sends one over a connection of its own, and a good one over another.
func (s smuggling) tryStream(h hostileStream, i int) error {
	answer, err := s.stream(h, fmt.Sprint("c", i))
	if err != nil {
		return err
	}
	if success := strings.HasPrefix(answer, "2"); success != h.passes {
		return fmt.Errorf("answered %s", answer)
	}
	if answer, err = s.stream(hostileStream{fields: h2(nil)}, fmt.Sprint("afterwards", i)); err != nil || answer != "200" {
		return fmt.Errorf("a good request afterwards: %s, %v", answer, err)
	}
	return nil
}

// stream sends a request, and returns its status, or by what kind of frame it was ended.
func (s smuggling) stream(h hostileStream, name string) (string, error) {
	raw, err := net.DialTimeout("tcp", s.g.listen, patient(startBound))
	if err != nil {
		return "", err
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	_ = conn.SetDeadline(time.Now().Add(patient(startBound)))
	if _, err := conn.Write(h.bytes(name)); err != nil {
		return "", err
	}
	reader, decoder := bufio.NewReader(conn), hpack.NewDecoder(4096, nil)
	for {
		kind, payload, err := readFrame(reader)
		if err == io.EOF {
			return "the connection's end", nil
		}
		if err != nil {
			return "", err
		}
		switch kind {
		case frameReset, frameGoAway:
			return fmt.Sprint("frame ", kind), nil
		case frameHeaders:
			fields, err := decoder.DecodeFull(payload)
			if err != nil || len(fields) == 0 || fields[0].Name != ":status" {
				return "", fmt.Errorf("fields %v, %v", fields, err)
			}
			return fields[0].Value, nil
		}
	}
}

// bytes are the connection's preface and the request.
func (h hostileStream) bytes(name string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range h.fields {
		value := strings.NewReplacer("{C}", name, "{H}", hostname).Replace(f[1])
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: value}) // a bytes.Buffer takes all
	}
	all := appendFrame([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frameSettings, 0, 0, nil)
	end := byte(0)
	if h.body == "" {
		end = flagEndStream
	}
	kind, rest := byte(frameHeaders), block.Bytes()
	for len(rest) > 16<<10 {
		all = appendFrame(all, kind, end, 1, rest[:16<<10])
		kind, end, rest = 9, 0, rest[16<<10:] // CONTINUATION
	}
	all = appendFrame(all, kind, end|flagEndHeaders, 1, rest)
	if h.body != "" {
		all = appendFrame(all, frameData, flagEndStream, 1, []byte(h.body))
	}
	return all
}

func appendFrame(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	b = append(b, byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), kind, flags)
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

func readFrame(r *bufio.Reader) (kind byte, payload []byte, err error) {
	var head [9]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(r, payload)
	return head[3], payload, err
}
