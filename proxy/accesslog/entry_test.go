package accesslog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var at = time.Date(2026, 11, 30, 18, 4, 5, 678_900_000, time.FixedZone("", 7200))

func TestLine(t *testing.T) {
	for _, test := range []struct {
		name  string
		entry Entry
		want  string
	}{
		{"a pull", Entry{
			Time: at, Duration: 12*time.Millisecond + 345*time.Microsecond, FirstByte: 2 * time.Millisecond,
			Client: netip.MustParseAddr("2001:db8::1"), Method: "GET", Host: "registry.contoso.com",
			Path: "/v2/app/manifests/v1", Protocol: "HTTP/2.0", Status: 200, Sent: 1234, Kind: "fresh",
			Repository: "app", Reference: "v1", Replica: "westus", Reason: "nearest", UserAgent: "docker/29",
			TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		}, `{"time":"2026-11-30T16:04:05.678Z","client":"2001:db8::1","method":"GET","host":"registry.contoso.com",` +
			`"path":"/v2/app/manifests/v1","protocol":"HTTP/2.0","status":200,"bytes_sent":1234,"bytes_received":0,` +
			`"duration_ms":12.345,"first_byte_ms":2.000,"kind":"fresh","repository":"app","reference":"v1",` +
			`"replica":"westus","reason":"nearest","user_agent":"docker/29",` +
			`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}`},
		{"what is empty", Entry{Time: at}, `{"time":"2026-11-30T16:04:05.678Z","status":0,"bytes_sent":0,` +
			`"bytes_received":0,"duration_ms":0.000}`},
		{"a part of an upload", Entry{Time: at, Method: "PATCH", Path: "/v2/app/blobs/uploads/1",
			Query: "_state=secret&fairlead-replica=westus", Received: 1 << 40, Error: "it broke off"},
			`{"time":"2026-11-30T16:04:05.678Z","method":"PATCH","path":"/v2/app/blobs/uploads/1","query":"***",` +
				`"status":0,"bytes_sent":0,"bytes_received":1099511627776,"duration_ms":0.000,"error":"it broke off"}`},
		{"lines of its own", Entry{Time: at, UserAgent: "a\"\r\n{\"time\":1}\\ \x1b[2J\u009b\u202e\U0001f980\xff\x00"},
			`{"time":"2026-11-30T16:04:05.678Z","status":0,"bytes_sent":0,"bytes_received":0,"duration_ms":0.000,` +
				`"user_agent":"a\"\u000d\u000a{\"time\":1}\\ \u001b[2J\u009b\u202e\ud83e\udd80\ufffd\u0000"}`},
		{"a long word", Entry{Time: at, Method: strings.Repeat("M", 62) + "\n" + "M"},
			`{"time":"2026-11-30T16:04:05.678Z","method":"` + strings.Repeat("M", 62) + `...","status":0,` +
				`"bytes_sent":0,"bytes_received":0,"duration_ms":0.000}`},
	} {
		if got := string(test.entry.AppendTo(nil)); got != test.want+"\n" {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

func TestPublic(t *testing.T) {
	for query, want := range map[string]string{
		"":                               "",
		"n=10&last=v1":                   "n=10&last=v1",
		"digest=sha256:00&_state=secret": "digest=sha256:00&***",
		"X-Amz-Signature=secret":         "***",
		"access_token=secret&service=registry&scope=repository:app:pull": "service=registry&scope=repository:app:pull&***",
		"secret":            "***", // a token that has no name
		"N=secret":          "***", // names have a case
		"%6e=1":             "***",
		"n=1;sig=secret":    "n=1&***",
		"n=1?_state=secret": "n=1&***", // behind a second question mark
		"&&n=1&":            "n=1",
		"mount=sha256:00&from=base&artifactType=a/b": "mount=sha256:00&from=base&artifactType=a/b",
	} {
		if got := public(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// FuzzLine: whatever a client sends is one line of JSON in ASCII, and no longer than lines are. What was cut off or was
// no UTF-8 aside, a reader gets back what was sent.
func FuzzLine(f *testing.F) {
	f.Add("GET", "h", "/v2/", "n=1", "agent", int64(1), int64(2), 200, []byte{127, 0, 0, 1})
	f.Add("\n", "\"", "\\", "_state=\x00", "\xff\u2028\U0001f980", int64(-1), int64(1<<62), -5, []byte("fe80::1%eth0"))
	f.Add("G", strings.Repeat("\x00", 9000), strings.Repeat("€", 9000), strings.Repeat("n=\x01&", 9000),
		strings.Repeat("\U0001f980", 9000), int64(0), int64(0), 0, bytes.Repeat([]byte{1}, 16))
	f.Fuzz(func(t *testing.T, method, host, path, query, agent string, d, n int64, status int, from []byte) {
		client, _ := netip.AddrFromSlice(from)
		if client.Is6() && len(agent) < 1000 {
			client = client.WithZone(agent)
		}
		e := Entry{
			Time: at, Duration: time.Duration(d), FirstByte: time.Duration(n), Client: client, Method: method, Host: host,
			Path: path, Query: query, Protocol: path, Status: status, Sent: n, Received: d, Kind: agent, Repository: path,
			Reference: host, Replica: host, Reason: method, UserAgent: agent, TraceID: agent, Error: query,
		}
		line := e.AppendTo([]byte("before"))
		line, kept := bytes.CutPrefix(line, []byte("before"))
		var got map[string]any
		switch err := json.Unmarshal(line, &got); {
		case err != nil:
			t.Fatalf("%v: %q", err, line)
		case !kept || len(line) > MaxLine || bytes.IndexByte(line, '\n') != len(line)-1:
			t.Fatalf("%d bytes: %q", len(line), line)
		case bytes.ContainsFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' || r > '~' }):
			t.Fatalf("not printable: %q", line)
		}
		if said, _ := got["user_agent"].(string); utf8.ValidString(agent) && len(agent) < 40 && said != agent {
			t.Errorf("%q, want %q", said, agent)
		}
	})
}

func BenchmarkLine(b *testing.B) {
	e := Entry{
		Time: at, Duration: time.Millisecond, FirstByte: time.Millisecond, Client: netip.MustParseAddr("192.0.2.1"),
		Method: "GET", Host: "registry.contoso.com", Path: "/v2/team/app/blobs/sha256:" + strings.Repeat("0", 64),
		Protocol: "HTTP/1.1", Status: 200, Sent: 1234, Kind: "pull", Repository: "team/app",
		Reference: "sha256:" + strings.Repeat("0", 64), Replica: "westus", Reason: "nearest", UserAgent: "docker/29",
	}
	line := make([]byte, 0, MaxLine)
	b.ReportAllocs()
	for b.Loop() {
		line = e.AppendTo(line[:0])
	}
}
