package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	patient = time.Minute            // never reached
	brief   = 150 * time.Millisecond // always reached
)

// answer is a server that answers every request with code.
func answer(t *testing.T, code int) string {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func serve(t *testing.T, h http.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// talk is a server that reads the head of a request and then does what it likes with the connection.
func talk(t *testing.T, then func(*net.TCPConn)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					then(conn.(*net.TCPConn))
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// say sends first, and then again and again until the other side is gone.
func say(first, again string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		_, err := io.WriteString(conn, first)
		for err == nil {
			_, err = io.WriteString(conn, again)
		}
	}
}

// drip sends first, and then a byte now and then until the other side is gone.
func drip(first string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		io.WriteString(conn, first)
		gone := make(chan struct{})
		go func() { io.Copy(io.Discard, conn); close(gone) }()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-gone:
				return
			case <-tick.C:
				io.WriteString(conn, "x")
			}
		}
	}
}

func refusing(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

func TestProbe(t *testing.T) {
	silent := func(conn *net.TCPConn) { io.Copy(io.Discard, conn) }
	for _, test := range []struct {
		name    string
		url     string
		timeout time.Duration
		result  outcome
		text    string // how it begins
	}{
		{"200", answer(t, 200), patient, alive, "ok"},
		{"401 is how a registry asks for credentials", answer(t, 401), patient, alive, "ok"},
		{"429 is never down", answer(t, 429), patient, alive, "ok"},
		{"429 whatever follows", talk(t, drip("HTTP/1.1 429 Busy\r\nContent-Length: 10000\r\n\r\n")), patient, alive,
			"ok"},
		{"403", answer(t, 403), patient, status, "status 403"},
		{"404", answer(t, 404), patient, status, "status 404"},
		{"500", answer(t, 500), patient, status, "status 500"},
		{"503", answer(t, 503), patient, status, "status 503"},
		{"204", answer(t, 204), patient, status, "status 204"},
		{"refused", refusing(t), patient, refused, "connection refused"},
		{"hangs", talk(t, silent), brief, timeout, "timeout"},
		{"hangs after the head", talk(t, func(conn *net.TCPConn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
			silent(conn)
		}), brief, timeout, "timeout"},
		{"drips its head", talk(t, drip("HTTP/1.1 200 OK\r\nX: ")), brief, timeout, "timeout"},
		{"drips its body", talk(t, drip("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")), brief, timeout,
			"timeout"},
		{"body without end", talk(t, say("HTTP/1.1 200 OK\r\n\r\n", "xxxxxxxxxxxxxxxx")), patient, alive, "ok"},
		{"head without end", talk(t, say("HTTP/1.1 200 OK\r\n", "X: xxxxxxxxxxxx\r\n")), patient, other,
			"net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded"},
		{"hints without end", talk(t, say("", "HTTP/1.1 103 Early Hints\r\n\r\n")), patient, other, "net/http"},
		{"closed without an answer", talk(t, func(*net.TCPConn) {}), patient, closed, "closed before"},
		{"closed within the body", talk(t, func(conn *net.TCPConn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
		}), patient, closed, "closed before"},
		{"reset", talk(t, func(conn *net.TCPConn) { conn.SetLinger(0) }), patient, closed, "connection reset"},
		{"not HTTP", talk(t, say("SSH-2.0-OpenSSH\r\n", "x")), patient, other,
			"net/http: HTTP/1.x transport connection broken: malformed HTTP"},
		{"not a URL", "http://[", patient, other, "parse"},
		{"not our scheme", "ftp://127.0.0.1/", patient, other, "unsupported protocol scheme"},
		{"clear text where TLS is expected", strings.Replace(answer(t, 200), "http", "https", 1), patient, other,
			"tls: first record does not look like a TLS handshake"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
			defer cancel()
			result, text := explain(get(ctx, Target{URL: test.url}))
			if result != test.result || !strings.HasPrefix(text, test.text) {
				t.Errorf("got %s, %q; want %s, %q…", result, text, test.result, test.text)
			}
		})
	}
}

func TestProbeDoesNotFollowRedirects(t *testing.T) {
	var followed atomic.Bool
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		followed.Store(followed.Load() || r.URL.Path != "/v2/")
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	err := get(t.Context(), Target{URL: url + "/v2/"})
	if _, text := explain(err); text != "status 302" || followed.Load() {
		t.Errorf("got %q, followed %v; want status 302, not followed", text, followed.Load())
	}
}

func TestProbeVerifiesTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of each handshake that is meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	trusting := server.Client().Transport.(*http.Transport).TLSClientConfig // for example.com and 127.0.0.1
	addr := server.Listener.Addr().String()
	for _, test := range []struct {
		name   string
		target Target
		text   string
	}{
		{"trusted", Target{URL: server.URL, TLS: trusting}, "ok"},
		{"not trusted", Target{URL: server.URL}, "certificate: x509: certificate signed by unknown authority"},
		{"Host is not what the certificate must name", Target{URL: server.URL, TLS: trusting,
			Host: "registry.contoso.com"},
			"ok"},
		{"the URL's name, another address", Target{URL: "https://example.com/v2/", Dial: addr, TLS: trusting}, "ok"},
		{"the URL's name is wrong", Target{URL: "https://registry.contoso.com/v2/", Dial: addr, TLS: trusting},
			"certificate: x509: certificate is valid for"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, text := explain(get(t.Context(), test.target)); !strings.HasPrefix(text, test.text) {
				t.Errorf("got %q, want %q…", text, test.text)
			}
		})
	}
	if trusting.ServerName != "" {
		t.Error("the probe changed the caller's TLS config")
	}
}

// http.Transport would go on with a handshake that nobody waits for any more.
func TestProbeHangsUpOnAHandshakeThatHangs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	hungUp := make(chan struct{})
	go func() {
		defer close(hungUp)
		if conn, err := listener.Accept(); err == nil {
			defer conn.Close()
			io.Copy(io.Discard, conn)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	err = get(ctx, Target{URL: "https://" + listener.Addr().String()})
	if result, text := explain(err); result != timeout {
		t.Errorf("got %s, %q; want timeout", result, text)
	}
	select {
	case <-hungUp:
	case <-time.After(patient):
		t.Error("the connection is still open")
	}
}

func TestProbeRequest(t *testing.T) {
	var got string
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = fmt.Sprint(r.Method, " ", r.URL, " ", r.Host, " ", r.Header.Get("User-Agent"), " close=", r.Close)
	})
	for _, test := range []struct {
		name   string
		target Target
		want   string
	}{
		{"plain", Target{URL: url + "/v2/"}, "GET /v2/ " + url[len("http://"):] + " fairlead-health close=true"},
		{"host", Target{URL: url + "/v2/", Host: "registry.contoso.com"},
			"GET /v2/ registry.contoso.com fairlead-health close=true"},
		{"dial", Target{URL: "http://registry.contoso.com:5000/v2/", Dial: url[len("http://"):]},
			"GET /v2/ registry.contoso.com:5000 fairlead-health close=true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := get(t.Context(), test.target); err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestEveryProbeConnectsAnew(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	for range 3 {
		if err := get(t.Context(), Target{URL: server.URL}); err != nil {
			t.Fatal(err)
		}
	}
	if got := connections.Load(); got != 3 {
		t.Errorf("%d connections for 3 probes", got)
	}
}

func TestExplainIsBounded(t *testing.T) {
	long := fmt.Errorf("malformed: %s", strings.Repeat("é", 1000))
	result, text := explain(long)
	if result != other || len(text) > maxText+len("…") || !strings.HasSuffix(text, "é…") {
		t.Errorf("got %s, %d bytes, %q", result, len(text), text)
	}
}

// TestOwnShortage: what this gateway has run out of says nothing of the target.
func TestOwnShortage(t *testing.T) {
	for _, test := range []struct {
		err  error
		to   string
		want outcome
	}{
		{syscall.EMFILE, "192.0.2.1", shortage},
		{syscall.ENFILE, "2001:db8::1", shortage},
		{syscall.EADDRNOTAVAIL, "192.0.2.1", shortage},
		{syscall.EADDRNOTAVAIL, "2001:db8::1", other}, // this machine has no IPv6
		{syscall.ENOMEM, "192.0.2.1", shortage},
		{syscall.ENOBUFS, "192.0.2.1", shortage},
		{&net.DNSError{Err: "dial udp 192.0.2.53:53: socket: too many open files"}, "192.0.2.1", shortage},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, "192.0.2.1", other},
		{syscall.ECONNREFUSED, "192.0.2.1", refused},
		{syscall.ENETUNREACH, "192.0.2.1", other},
	} {
		to := &net.TCPAddr{IP: net.ParseIP(test.to), Port: 443}
		dialled := &net.OpError{Op: "dial", Addr: to, Err: os.NewSyscallError("socket", test.err)}
		err := &url.Error{Op: "Get", Err: dialled}
		got, text := outcomeOf(err, time.Now(), time.Time{})
		ours := test.want == shortage
		if got != test.want || (got.result() == Unknown) != ours || OwnShortage(err) != ours {
			t.Errorf("%v: %s, %s, %q", test.err, got, got.result(), text)
		}
	}
}
