package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
)

func serve(t *testing.T, handler http.HandlerFunc) *url.URL {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return parseURL(t, server.URL)
}

// serveTLS serves with the certificate that keyfilestest.WritePair made under name, for registry.contoso.com.
func serveTLS(t *testing.T, dir, name string, clients *x509.CertPool, handler http.HandlerFunc) *url.URL {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if clients != nil {
		server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return parseURL(t, server.URL)
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func liveConfig(listen string, replicas ...configs.Replica) *configs.Config {
	return &configs.Config{
		Hostname: "registry.contoso.com",
		Proxy:    configs.Proxy{Listen: []string{listen}},
		Health:   configs.Health{Timeout: time.Minute, Path: "/v2/"},
		Replicas: replicas,
	}
}

func answer(status int, challenges ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, c := range challenges {
			w.Header().Add("WWW-Authenticate", c)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}
}

func TestAskUpstream(t *testing.T) {
	closed := parseURL(t, "http://"+closedAddress(t))
	tests := []struct {
		name          string
		upstream      *url.URL
		wantStatus    int
		wantChallenge string
		wantErr       string
	}{
		{"open", serve(t, answer(200)), 200, "", ""},
		{"asks who", serve(t, answer(401, `Basic realm="a"`, `Bearer realm="b"`)), 401,
			`Basic realm="a", Bearer realm="b"`,
			""},
		{"no registry", serve(t, answer(404)), 404, "", "answered 404, and only 200 and 401 mean alive"},
		{"redirect", serve(t, answer(307)), 307, "", "answered 307, and only 200 and 401 mean alive"},
		{"refused", closed, 0, "", "connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := askAll(t.Context(), liveConfig(":443", configs.Replica{Name: "westus", Upstream: tt.upstream}), true)
			if len(got) != 1 {
				t.Fatalf("%d results, want 1", len(got))
			}
			r := got[0]
			if r.Replica != "westus" || r.Target != targetUpstream || r.Address != tt.upstream.String() ||
				r.Status != tt.wantStatus || r.Challenge != tt.wantChallenge {
				t.Errorf("got %+v", r)
			}
			wantAskErr(t, r, tt.wantErr)
		})
	}
}

func TestAskSendsPathAndHost(t *testing.T) {
	tests := []struct{ host, want string }{
		{"", "registry.contoso.com"},
		{"registry.westus.internal:5000", "registry.westus.internal:5000"},
	}
	for _, tt := range tests {
		upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", r.Method+" "+r.Host+" "+r.URL.Path)
		})
		got := askAll(t.Context(), liveConfig(":443", configs.Replica{Upstream: upstream, Host: tt.host}), false)[0]
		if want := "GET " + tt.want + " /v2/"; got.Challenge != want {
			t.Errorf("sent %s, want %s", got.Challenge, want)
		}
	}
}

func TestAskUpstreamTLS(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"server", "client", "stranger"} {
		keyfilestest.WritePair(dir, name)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	pem, err := keyfiles.Read(file("client.pem"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(pem)
	open, guarded := serveTLS(t, dir, "server", nil, answer(200)), serveTLS(t, dir, "server", clients, answer(200))
	tests := []struct {
		name    string
		replica configs.Replica
		wantErr string
	}{
		{"unknown authority", configs.Replica{Upstream: open}, "certificate signed by unknown authority"},
		{"own authority", configs.Replica{Upstream: open, CA: keyfiles.Trust{file("server.pem")}}, ""},
		{"another authority", configs.Replica{Upstream: open, CA: keyfiles.Trust{file("stranger.pem")}},
			"certificate signed by unknown authority"},
		{"client certificate", configs.Replica{Upstream: guarded, CA: keyfiles.Trust{file("server.pem")},
			ClientCertificate: file("client.pem"), ClientKey: file("client.key")}, ""},
		{"another name", configs.Replica{Upstream: parseURL(t, strings.Replace(open.String(), "127.0.0.1", "127.0.0.2",
			1)),
			CA: keyfiles.Trust{file("server.pem")}}, "127.0.0.2"},
		{"authority gone", configs.Replica{Name: "westus", Upstream: open, CA: keyfiles.Trust{file("gone.pem")}},
			"ca of westus: " + file("gone.pem") + ": no such file"},
		{"certificate gone", configs.Replica{Name: "westus", Upstream: open, ClientCertificate: file("gone.pem")},
			"client certificate of westus: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantAskErr(t, askAll(t.Context(), liveConfig(":443", tt.replica), false)[0], tt.wantErr)
		})
	}
	// Whether the client sees the alert or the reset that follows it is a race.
	if r := askAll(t.Context(), liveConfig(":443", configs.Replica{Upstream: guarded,
		CA: keyfiles.Trust{file("server.pem")}}), false)[0]; r.Err == nil {
		t.Errorf("let in without a client certificate: %+v", r)
	}
}

// Fronts are reached by address, at the proxy's port, under the hostname.
func TestAskFronts(t *testing.T) {
	dir := t.TempDir()
	keyfilestest.WritePair(dir, "gateway")
	keyfilestest.WritePair(dir, "other")
	seen := func(w http.ResponseWriter, r *http.Request) {
		sni := ""
		if r.TLS != nil {
			sni = r.TLS.ServerName
		}
		w.Header().Set("WWW-Authenticate", strings.TrimSpace(r.Host+" "+sni))
	}
	clear, secure := serve(t, seen), serveTLS(t, dir, "gateway", nil, seen)
	tests := []struct {
		name          string
		at            *url.URL
		tls           *configs.TLS
		wantChallenge string
		wantErr       string
	}{
		{"clear text", clear, nil, "registry.contoso.com", ""},
		{"TLS", secure, &configs.TLS{Certificate: filepath.Join(dir, "gateway.pem")},
			"registry.contoso.com registry.contoso.com", ""},
		{"another certificate", secure, &configs.TLS{Certificate: filepath.Join(dir, "other.pem")}, "",
			"unknown authority"},
		{"TLS to clear text", clear, &configs.TLS{Certificate: filepath.Join(dir, "gateway.pem")}, "",
			"does not look like a TLS handshake"},
		{"certificate gone", secure, &configs.TLS{Certificate: filepath.Join(dir, "gone.pem")}, "", "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := liveConfig(":"+tt.at.Port(), configs.Replica{Name: "westus", Upstream: clear,
				Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
			c.Proxy.TLS = tt.tls
			got := askAll(t.Context(), c, false)
			if len(got) != 2 || got[0].Target != targetUpstream || got[1].Target != targetFront ||
				got[1].Address != tt.at.Host {
				t.Fatalf("got %+v", got)
			}
			if got[1].Challenge != tt.wantChallenge {
				t.Errorf("seen %q, want %q", got[1].Challenge, tt.wantChallenge)
			}
			wantAskErr(t, got[1], tt.wantErr)
		})
	}
}

func TestFrontTLSNamesTheHost(t *testing.T) {
	cfg, err := liveConfig(":443").FrontTLS().Config()
	if err != nil || cfg.ServerName != "registry.contoso.com" || cfg.RootCAs != nil {
		t.Errorf("got %q, %v, %v", cfg.ServerName, cfg.RootCAs, err)
	}
}

// A registry that accepts connections and says nothing must not hold up the answer for the others.
func TestAskGivesUp(t *testing.T) {
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := liveConfig(":443", configs.Replica{Name: "silent", Upstream: silent},
		configs.Replica{Name: "fine", Upstream: serve(t, answer(200))})
	c.Health.Timeout = time.Second
	got := askAll(t.Context(), c, false)
	wantAskErr(t, got[0], "no answer within health.timeout")
	wantAskErr(t, got[1], "")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantAskErr(t, askAll(ctx, c, false)[0], "context canceled")
}

func wantAskErr(t *testing.T, r liveResult, want string) {
	t.Helper()
	if (want == "") != (r.Err == nil) || r.Err != nil && !strings.Contains(r.Err.Error(), want) {
		t.Errorf("%s %s: error %v, want %q", r.Replica, r.Target, r.Err, want)
	}
}

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
