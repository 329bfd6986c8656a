package strict

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// request is one as somebody has read it.
type request struct {
	method, target, version, host string
	fields, trailers              map[string][]string
	length                        int64 // -1: chunked
	body                          string
	cut                           bool // its body has no good end
}

// reading is what a stream of requests is by this package's own rules: its requests, and what of it is handed on.
type reading struct {
	requests []request
	out      string
}

// readWhole reads a stream that is there as a whole, by the plainest of code.
func readWhole(text string) (r reading) {
	for {
		text = strings.TrimPrefix(text, "\r\n")
		var h head
		length, why := h.scan([]byte(text))
		if length == 0 || why != nil {
			return r
		}
		next := parseHead(text[:length])
		next.length = h.length
		r.out += text[:length]
		text = text[length:]
		n := int(min(h.length, int64(len(text))))
		next.body, next.cut = text[:n], int64(n) < h.length
		if h.codings > 0 {
			var c chunks
			n, why = c.scan([]byte(text))
			next.length = -1
			next.body, next.trailers = unchunk(text[:n])
			next.cut = c.at != bodyEnd
		}
		r.out += text[:n]
		text = text[n:]
		r.requests = append(r.requests, next)
		if why != nil {
			r.out += unreadable
		}
		if next.cut {
			return r
		}
	}
}

func parseHead(text string) request {
	lines := strings.Split(strings.TrimSuffix(text, "\r\n\r\n"), "\r\n")
	first := strings.Split(lines[0], " ")
	r := request{method: first[0], target: first[1], version: first[2], fields: parseFields(lines[1:])}
	if hosts := r.fields["Host"]; len(hosts) > 0 {
		r.host = hosts[0]
	}
	return r
}

func parseFields(lines []string) map[string][]string {
	fields := map[string][]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		name = textproto.CanonicalMIMEHeaderKey(name)
		fields[name] = append(fields[name], strings.Trim(value, " \t"))
	}
	return fields
}

// unchunk reads what is valid of a chunked body.
func unchunk(text string) (body string, trailers map[string][]string) {
	for text != "" {
		line, rest, _ := strings.Cut(text, "\r\n")
		digits, _, _ := strings.Cut(line, ";")
		var size int
		if _, err := fmt.Sscanf(digits, "%x", &size); err != nil {
			panic(digits)
		}
		if size == 0 {
			section, _ := strings.CutSuffix(rest, "\r\n")
			if section == "" {
				return body, nil
			}
			return body, parseFields(strings.Split(strings.TrimSuffix(section, "\r\n"), "\r\n"))
		}
		n := min(size, len(rest))
		body += rest[:n]
		text = rest[min(n+2, len(rest)):]
	}
	return body, nil
}

// readByServer is what net/http makes of a stream.
func readByServer(text string) (all []request, err error) {
	r := bufio.NewReader(strings.NewReader(text))
	for {
		in, err := http.ReadRequest(r)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		next := request{method: in.Method, target: in.RequestURI, version: in.Proto, host: in.Host,
			fields: in.Header, length: in.ContentLength}
		if len(in.TransferEncoding) > 0 != (in.ContentLength < 0) {
			return all, fmt.Errorf("length %d with %q", in.ContentLength, in.TransferEncoding)
		}
		body, err := io.ReadAll(in.Body)
		next.body, next.cut, next.trailers = string(body), err != nil, in.Trailer
		if all = append(all, next); next.cut {
			return all, nil
		}
	}
}

// without is what net/http leaves of the fields.
func without(fields map[string][]string, chunked bool) map[string][]string {
	fields = maps.Clone(fields)
	delete(fields, "Host")
	delete(fields, "Transfer-Encoding")
	if chunked {
		delete(fields, "Trailer")
	}
	if p := fields["Pragma"]; len(p) > 0 && p[0] == "no-cache" && fields["Cache-Control"] == nil {
		fields["Cache-Control"] = []string{"no-cache"}
	}
	return fields
}

// differs says what two readings differ in.
func differs(ours, theirs []request) string {
	if len(ours) != len(theirs) {
		return fmt.Sprintf("%d requests and %d", len(ours), len(theirs))
	}
	for i, a := range ours {
		b := theirs[i]
		switch {
		case a.method != b.method || a.target != b.target || a.version != b.version || !strings.EqualFold(a.host, b.host):
			return fmt.Sprintf("line or host %+v, %+v", a, b)
		case a.length != b.length || a.body != b.body || a.cut != b.cut:
			return fmt.Sprintf("body %+v, %+v", a, b)
		case !equal(without(a.fields, a.length < 0), b.fields):
			return fmt.Sprintf("fields %+v, %+v", a.fields, b.fields)
		case !a.cut && !includes(b.trailers, a.trailers):
			return fmt.Sprintf("trailers %+v, %+v", a.trailers, b.trailers)
		}
	}
	return ""
}

func equal(a, b map[string][]string) bool { return maps.EqualFunc(a, b, slices.Equal[[]string]) }

// includes: net/http lists trailers that were announced and have not come, too.
func includes(all, some map[string][]string) bool {
	for name, values := range some {
		if !slices.Equal(all[name], values) {
			return false
		}
	}
	return true
}

// FuzzStrict: what is handed on does not depend on how it comes, and net/http reads the very same requests out of it.
func FuzzStrict(f *testing.F) {
	seeds := slices.Clone(good)
	for _, b := range bad {
		seeds = append(seeds, b.text)
	}
	for _, body := range broken {
		seeds = append(seeds, chunkedHead+body)
	}
	for i, text := range seeds {
		if len(text) < 2000 {
			f.Add([]byte(text+seeds[(i+1)%len(good)]), []byte{1, 2, 40, 0})
		}
	}
	f.Fuzz(func(t *testing.T, data, cuts []byte) {
		want := readWhole(string(data))
		theirs, err := readByServer(want.out)
		if d := differs(want.requests, theirs); d != "" || err != nil {
			t.Fatalf("net/http: %v, %s", err, d)
		}
		for _, room := range []int{scratch, 2, 4096} {
			s := &script{}
			for rest, i := data, 0; len(rest) > 0; i++ {
				n := len(rest)
				if len(cuts) > 0 {
					n = min(n, int(cuts[i%len(cuts)])+1)
				}
				s.pieces, rest = append(s.pieces, rest[:n]), rest[n:]
			}
			c := New(s, 0, NewHeads(1<<20), nil)
			out, _ := drain(c, room)
			if out != want.out {
				t.Fatalf("by %d: handed on %q, want %q", room, out, want.out)
			}
			if cap(c.held.all) > MaxHead {
				t.Fatalf("holds %d bytes", cap(c.held.all))
			}
		}
	})
}
