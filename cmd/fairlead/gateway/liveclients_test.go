package gateway

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/fairlead-gateway/fairlead/configs"
)

// running is a gateway whose file may change.
type running struct {
	*Gateway
	t          *testing.T
	dir        string
	base       string // the file's beginning
	front, dns string // addresses
}

func run(t *testing.T, upstream string, more ...string) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), front: freeAddress(t), dns: freeAddress(t)}
	r.base = fmt.Sprintf("hostname: registry.contoso.com\nhealth: {fronts: false, interval: 1s, timeout: 1s}\n"+
		"admin: {listen: %q}\n", freeAddress(t))
	c := r.file(upstream, more...)
	ctx, cancel := context.WithCancel(t.Context())
	g, err := New(ctx, c, "v0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.Gateway = g
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// file is one with west at that upstream, what more says in dns and proxy, and other replicas than west alone.
func (r *running) file(upstream string, more ...string) *configs.Config {
	r.t.Helper()
	for len(more) < 2 {
		more = append(more, "")
	}
	if len(more) < 3 {
		more = append(more, fmt.Sprintf(west, upstream))
	}
	text := fmt.Sprintf("%sdns: {listen: [%q]%s}\nproxy: {listen: [%q]%s}\nreplicas: [%s]\n", r.base, r.dns, more[0],
		r.front, more[1], more[2])
	c, err := configs.Parse(filepath.Join(r.dir, "fairlead.yaml"), []byte(text))
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *running) apply(c *configs.Config) {
	r.t.Helper()
	if err := r.Gateway.apply(c); err != nil {
		r.t.Fatal(err)
	}
}

// say is what a request by hand is answered.
func (r *running) say(request string) string {
	conn, err := net.Dial("tcp", r.front)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, request)
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

const west = "{name: west, place: azure/westus, addresses: [127.0.0.1], upstream: %q}"

const get10 = "GET %s HTTP/1.0\r\nHost: registry.contoso.com\r\n\r\n"

// TestClientsGoByAnotherFile: each key, live; and back again.
func TestClientsGoByAnotherFile(t *testing.T) {
	t.Parallel()
	echo := echoes(t, "west")
	r, other := run(t, echo.URL), echoes(t, "east")
	// names reports whether DNS names an address for a name, to clients of nowhere, who belong to home.
	names := func(name, address string) func() bool {
		return func() bool {
			got, err := dns.Exchange(new(dns.Msg).SetQuestion(name+".", dns.TypeA), r.dns)
			return err == nil && len(got.Answer) == 1 && strings.HasSuffix(got.Answer[0].String(), "\t"+address)
		}
	}
	answers := func(request, with string) func() bool {
		return func() bool { return strings.Contains(r.say(request), with) }
	}
	two := func(ofWest, ofEast string) string {
		return fmt.Sprintf("{name: west, place: azure/westus, addresses: [127.0.0.1], upstream: %q%s}, "+
			"{name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: %q%s}", echo.URL, ofWest, other.URL, ofEast)
	}
	const name = "registry.contoso.com"
	pushes := 0 // each to another repository: none has a lease
	begins := func(at string) func() bool {
		return func() bool {
			pushes++
			return strings.Contains(r.say(fmt.Sprintf("POST /v2/app%d/blobs/uploads/ HTTP/1.0\r\nHost: %s\r\n"+
				"Content-Length: 0\r\n\r\n", pushes, name)), at)
		}
	}
	access := filepath.Join(r.dir, "access.log")
	for _, test := range []struct {
		key, dns, proxy string
		replicas        string // "": west alone
		shows           func() bool
	}{
		{"dns.ttl", ", ttl: 7s", "", "", func() bool {
			m := new(dns.Msg).SetQuestion("registry.contoso.com.", dns.TypeA)
			got, err := dns.Exchange(m, r.dns)
			return err == nil && len(got.Answer) == 1 && got.Answer[0].Header().Ttl == 7
		}},
		{"dns.nameservers", ", nameservers: [ns1.contoso.com]", "", "", func() bool {
			m := new(dns.Msg).SetQuestion("registry.contoso.com.", dns.TypeNS)
			got, err := dns.Exchange(m, r.dns)
			return err == nil && len(got.Answer) == 1
		}},
		{"proxy.paths", "", ", paths: [/service/token]", "", func() bool {
			return strings.HasPrefix(r.say(fmt.Sprintf(get10, "/service/token")), "HTTP/1.0 200")
		}},
		{"proxy.trusted_proxies", "", ", trusted_proxies: [127.0.0.0/8]", "", func() bool {
			return strings.HasSuffix(r.say("PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n"+fmt.Sprintf(get10, "/v2/")),
				"for 192.0.2.7")
		}},
		{"proxy.access_log", "", fmt.Sprintf(", access_log: %q", access), "", func() bool {
			r.say(fmt.Sprintf(get10, "/v2/"))
			wait := time.Second // after which a line that is not there never comes
			if r.live.config().Proxy.AccessLog != "" {
				wait = time.Minute
			}
			for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if text, _ := os.ReadFile(access); len(text) > 0 {
					return os.Remove(access) == nil
				}
			}
			return false
		}},
		{"replicas[].name", "", "", strings.Replace(fmt.Sprintf(west, echo.URL), "west,", "wild,", 1),
			names("wild."+name, "127.0.0.1")},
		{"replicas[].addresses", "", "", strings.Replace(fmt.Sprintf(west, echo.URL), "127.0.0.1]", "127.0.0.3]", 1),
			names(name, "127.0.0.3")},
		{"replicas[].upstream", "", "", fmt.Sprintf(west, other.URL), answers(fmt.Sprintf(get10, "/v2/"), "east is")},
		{"replicas[].host", "", "", strings.Replace(fmt.Sprintf(west, echo.URL), "}", ", host: inner.example}", 1),
			answers(fmt.Sprintf(get10, "/v2/"), "is inner.example")},
		{"replicas[].home", "", "", two("", ", home: true"), answers(fmt.Sprintf(get10, "/v2/"), "east is")},
		{"replicas[].state", "", "", two(", home: true, state: drain", ""), names(name, "127.0.0.2")},
		{"replicas[].state", "", "", two(", home: true, state: offline", ""),
			answers(fmt.Sprintf(get10, "/v2/"), "east is")},
		{"replicas[].write", "", "", two(", home: true, write: false", ""), begins("east is")},
	} {
		if test.shows() {
			t.Errorf("%s: shows before it is in force", test.key)
		}
		r.apply(r.file(echo.URL, test.dns, test.proxy, cmp.Or(test.replicas, fmt.Sprintf(west, echo.URL))))
		shows := test.shows()
		for end := time.Now().Add(time.Minute); !shows && time.Now().Before(end); shows = test.shows() {
			time.Sleep(10 * time.Millisecond) // another registry is probed first
		}
		if !shows {
			t.Errorf("%s: does not show", test.key)
		}
		r.apply(r.file(echo.URL))
		if test.shows() {
			t.Errorf("%s: shows after it is gone", test.key)
		}
	}
	// What cannot be put in force changes nothing, in no part.
	folder := filepath.Join(r.dir, "gone")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	bad := r.file(echo.URL, ", ttl: 7s", fmt.Sprintf(", access_log: %q", filepath.Join(folder, "access.log")))
	_ = os.Remove(folder)
	if err := r.Gateway.apply(bad); err == nil || r.live.config() == bad {
		t.Errorf("a log that cannot be opened: %v", err)
	}
}

// echoes is an upstream that says who asks, and by which name.
func echoes(t *testing.T, name string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
		}
		_, _ = fmt.Fprintf(w, "%s is %s for %s", name, r.Host, r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(s.Close)
	return s
}

// TestManyFilesLeaveNothing: after many changes there are as many goroutines and descriptors as before.
func TestManyFilesLeaveNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	r := run(t, server.URL)
	request := fmt.Sprintf(get10, "/v2/")
	r.say(request)
	count := func() (int, int) {
		all, _ := os.ReadDir("/proc/self/fd")
		return runtime.NumGoroutine(), len(all)
	}
	var goroutines, files int
	for i := range 60 {
		if i == 10 { // all that runs from the start on runs by now
			goroutines, files = count()
		}
		r.apply(r.file(server.URL, fmt.Sprintf(", ttl: %ds", i+1), fmt.Sprintf(
			", paths: [/p%d], trusted_proxies: [192.0.2.%d], access_log: %q, limits: {client_share: %d, manifest: %dMiB}",
			i, i, filepath.Join(r.dir, fmt.Sprint(i)), 40+i, 4+i%5)))
		if got := r.say(request); !strings.HasPrefix(got, "HTTP/1.0 200") {
			t.Errorf("%d: %s", i, got)
		}
	}
	r.apply(r.file(server.URL))
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		now, open := count()
		if now <= goroutines && open <= files {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d descriptors; before %d and %d", now, open, goroutines, files)
		}
	}
}
