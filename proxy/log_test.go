package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/proxy/accesslog"
)

// TestAccessLog: each request is one entry, which says what became of it and what was moved.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "1234")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	for _, test := range []struct {
		name, line, body string
		west             http.HandlerFunc
		want             accesslog.Entry
	}{
		{"a pull", "GET " + byDigest + "?ns=docker.io", "", status(200), accesslog.Entry{
			Method: "GET", Path: byDigest, Query: "ns=docker.io", Status: 200, Sent: int64(len(content)), Kind: "pull",
			Repository: "app", Reference: digest, Replica: "west", Reason: "nearest"}},
		{"a push", "PUT /v2/app/manifests/v1", "{}", status(201), accesslog.Entry{
			Method: "PUT", Path: "/v2/app/manifests/v1", Status: 201, Received: 2, Kind: "write", Repository: "app",
			Reference: "v1", Replica: "west", Reason: "nearest"}},
		{"a part, by the URL's owner", "PATCH " + uploads + "1?_state=x&fairlead-replica=east", "part", nil,
			accesslog.Entry{Method: "PATCH", Path: uploads + "1", Query: "_state=x", Status: 404, Received: 4,
				Sent: int64(len("404 page not found\n")), Kind: "upload", Repository: "app", Replica: "east",
				Reason: "owner"}},
		{"an answer that breaks off", "GET /v2/app/blobs/" + digest, "", half, accesslog.Entry{
			Method: "GET", Path: "/v2/app/blobs/" + digest, Status: 200, Sent: 4, Kind: "pull", Repository: "app",
			Reference: digest, Replica: "west", ResumedAt: "west", Reason: "nearest", Error: "the answer broke off"}},
		{"no answer", "GET /v2/", "", nil, accesslog.Entry{
			Method: "GET", Path: "/v2/", Status: 404, Sent: int64(len("404 page not found\n")), Kind: "ping",
			Replica: "west", Reason: "nearest"}},
		{"a lost upload, whose connection is broken", "PATCH " + uploads + "1?fairlead-replica=west", "part", breakOff,
			accesslog.Entry{Method: "PATCH", Path: uploads + "1", Status: 444, Received: 4, Kind: "upload",
				Repository: "app", Replica: "west", Reason: "upload_lost"}},
		{"none of our paths", "GET /metrics%20", "", nil, accesslog.Entry{
			Method: "GET", Path: "/metrics%20", Status: 404, Kind: "ping"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			entries := make(chan accesslog.Entry, 9)
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west},
				func(c *rigConfig) { c.AccessLog = func(e accesslog.Entry) { entries <- e } })
			var body io.Reader
			if test.body != "" {
				body = strings.NewReader(test.body)
			}
			reply := g.do(test.line, body, "traceparent: "+trace, "User-Agent: test/1", "Host: registry.contoso.com")
			got := await(t, entries, "an entry")
			answered := test.want.Status != statusBrokenOff
			if got.Time.IsZero() || got.Duration <= 0 || (got.FirstByte > 0) != answered ||
				got.FirstByte > got.Duration || got.Client.String() != "127.0.0.1" {
				t.Errorf("%+v", got)
			}
			if test.want.Reason == "" {
				if !strings.HasPrefix(got.Error, codeNameUnknown) || got.Sent != int64(len(reply.body)) {
					t.Errorf("%q, %d bytes of %d", got.Error, got.Sent, len(reply.body))
				}
				test.want.Error, test.want.Sent = got.Error, got.Sent
			}
			want := test.want
			want.Time, want.Duration, want.FirstByte, want.Client = got.Time, got.Duration, got.FirstByte, got.Client
			want.Host, want.Protocol, want.UserAgent, want.TraceID = "registry.contoso.com", "HTTP/1.1", "test/1", id
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestAccessLogOfAClientThatLeaves: it had no answer, or not all of one.
func TestAccessLogOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	entries := make(chan accesslog.Entry, 9)
	asked := make(chan struct{}, 9)
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			w.Header().Set("Content-Length", "1000000000")
			_, _ = w.Write(make([]byte, 1<<20))
		}
		asked <- struct{}{}
		<-r.Context().Done()
	}}, func(c *rigConfig) { c.AccessLog = func(e accesslog.Entry) { entries <- e } })
	conn := g.send(plain("GET "+byDigest, ""))
	await(t, asked, "the replica to be asked")
	conn.Close()
	if got := await(t, entries, "an entry"); got.Status != 499 || got.FirstByte != 0 || got.Error != "" {
		t.Errorf("%+v", got)
	}
	conn = g.send(plain("GET /v2/app/blobs/"+digest, ""))
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := await(t, entries, "an entry"); got.Status != 200 || got.Sent == 0 ||
		!strings.Contains(got.Error, "client went away") {
		t.Errorf("%+v", got)
	}
}
