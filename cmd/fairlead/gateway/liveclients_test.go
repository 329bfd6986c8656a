package gateway

import (
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
	r.base = fmt.Sprintf("hostname: registry.contoso.com\nhealth: {fronts: false}\nadmin: {listen: %q}\n", freeAddress(t))
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

// file is one with west at that upstream, what more says in dns and proxy, and other lines.
func (r *running) file(upstream string, more ...string) *configs.Config {
	r.t.Helper()
	for len(more) < 2 {
		more = append(more, "")
	}
	text := fmt.Sprintf("%sdns: {listen: [%q]%s}\nproxy: {listen: [%q]%s}\nreplicas: "+
		"[{name: west, place: azure/westus, addresses: [127.0.0.1], upstream: %q}]\n", r.base, r.dns, more[0], r.front,
		more[1], upstream)
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

const get10 = "GET %s HTTP/1.0\r\nHost: registry.contoso.com\r\n\r\n"

// TestClientsGoByAnotherFile: each key, live; and back again.
func TestClientsGoByAnotherFile(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "for "+r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(echo.Close)
	r := run(t, echo.URL)
	access := filepath.Join(r.dir, "access.log")
	for _, test := range []struct {
		key, dns, proxy string
		shows           func() bool
	}{
		{"dns.ttl", ", ttl: 7s", "", func() bool {
			m := new(dns.Msg).SetQuestion("registry.contoso.com.", dns.TypeA)
			got, err := dns.Exchange(m, r.dns)
			return err == nil && len(got.Answer) == 1 && got.Answer[0].Header().Ttl == 7
		}},
		{"dns.nameservers", ", nameservers: [ns1.contoso.com]", "", func() bool {
			m := new(dns.Msg).SetQuestion("registry.contoso.com.", dns.TypeNS)
			got, err := dns.Exchange(m, r.dns)
			return err == nil && len(got.Answer) == 1
		}},
		{"proxy.paths", "", ", paths: [/service/token]", func() bool {
			return strings.HasPrefix(r.say(fmt.Sprintf(get10, "/service/token")), "HTTP/1.0 200")
		}},
		{"proxy.trusted_proxies", "", ", trusted_proxies: [127.0.0.0/8]", func() bool {
			return strings.HasSuffix(r.say("PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n"+fmt.Sprintf(get10, "/v2/")),
				"for 192.0.2.7")
		}},
		{"proxy.access_log", "", fmt.Sprintf(", access_log: %q", access), func() bool {
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
	} {
		if test.shows() {
			t.Errorf("%s: shows before it is in force", test.key)
		}
		r.apply(r.file(echo.URL, test.dns, test.proxy))
		if !test.shows() {
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
	goroutines, files := count()
	for i := range 50 {
		r.apply(r.file(server.URL, fmt.Sprintf(", ttl: %ds", i+1), fmt.Sprintf(
			", paths: [/p%d], trusted_proxies: [192.0.2.%d], access_log: %q, limits: {client_share: %d, manifest: %dMiB}",
			i, i, filepath.Join(r.dir, fmt.Sprint(i)), 50+i, 4+i%5)))
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
