package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
)

// freeAddress is one that nobody listened on a moment ago. It is of this process alone: on 127.0.0.1 others take
// ports meanwhile.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.1:0", 64+os.Getpid()>>8&63, os.Getpid()&255))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a gateway before one replica until the test ends; stop ends it earlier and waits.
func start(t *testing.T, upstream http.Handler, more string) (address string, stop func() error) {
	t.Helper()
	server := httptest.NewServer(upstream)
	t.Cleanup(server.Close)
	address = freeAddress(t)
	file := fmt.Sprintf(`
hostname: registry.contoso.com
dns: {listen: ["%s"]}
proxy: {listen: ["%s"]%s}
admin: {listen: "%s"}
health: {fronts: false}
replicas: [{name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "%s"}]
`, freeAddress(t), address, more, freeAddress(t), server.URL)
	c, err := configs.Parse(filepath.Join(t.TempDir(), "fairlead.yaml"), []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g, err := New(ctx, c, "v0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	stopped := false
	stop = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return address, stop
}

// An upload under way when the gateway is told to stop ends as if nothing had happened; new
// connections are refused meanwhile.
func TestStopLetsUploadsFinish(t *testing.T) {
	arrived := make(chan bool, 1)
	address, stop := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			_, _ = io.CopyN(io.Discard, r.Body, 5)
			arrived <- true
			rest, _ := io.ReadAll(r.Body)
			w.Header().Set("Range", fmt.Sprintf("0-%d", 4+len(rest)))
			w.WriteHeader(http.StatusAccepted)
		}
	}), "")
	body, more := io.Pipe()
	answer := make(chan string, 1)
	go func() {
		request, _ := http.NewRequest(http.MethodPatch, "http://"+address+"/v2/app/blobs/uploads/1", body)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer response.Body.Close()
		answer <- response.Status + " " + response.Header.Get("Range")
	}()
	_, _ = more.Write([]byte("hello"))
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break // the listener is closed: the stop has begun
		}
		conn.Close()
	}
	_, _ = more.Write([]byte(" world"))
	more.Close()
	if got := <-answer; got != "202 Accepted 0-10" {
		t.Errorf("the upload under way ended with %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServesTLSFromFiles(t *testing.T) {
	dir := t.TempDir()
	roots := writeCertificate(t, dir, "registry.contoso.com")
	address, _ := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	}), fmt.Sprintf(", tls: {certificate: %s/cert.pem, key: %s/key.pem}", dir, dir))
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: "registry.contoso.com"},
			ForceAttemptHTTP2: protocol == "HTTP/2.0",
		}}
		response, err := client.Get("https://" + address + "/v2/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		client.CloseIdleConnections()
		if response.Proto != protocol || string(body) != "https" ||
			response.Header.Get("Fairlead-Replica") != "west; reason=nearest" {
			t.Errorf("%s %q %v", response.Proto, body, response.Header)
		}
	}
}

// writeCertificate makes cert.pem and key.pem, and returns what trusts them.
func writeCertificate(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	certificate, _ := x509.ParseCertificate(der)
	roots.AddCert(certificate)
	return roots
}

// A trusted proxy speaks for the client; the same header from anybody else is garbage.
func TestProxyHeader(t *testing.T) {
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "for "+r.Header.Get("X-Forwarded-For"))
	})
	ask := func(address string) string {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\nGET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		return string(answer)
	}
	trusting, _ := start(t, upstream, ", trusted_proxies: [127.0.0.1]")
	if got := ask(trusting); !strings.HasSuffix(got, "for 192.0.2.7") {
		t.Errorf("trusted: %q", got)
	}
	wary, _ := start(t, upstream, ", trusted_proxies: [192.0.2.0/24]")
	if got := ask(wary); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("not trusted: %q", got)
	}
}

func TestAllSocketsThatCannotBeOpenedAreSaidAtOnce(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var s sockets
	defer s.close()
	address := taken.Addr().String()
	err = s.all(t.Context(), &configs.Config{
		DNS: configs.DNS{Listen: []string{address}}, Proxy: configs.Proxy{Listen: []string{address}},
		Admin: configs.Admin{Listen: address},
	})
	for _, field := range []string{"dns.listen", "proxy.listen", "admin.listen"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in: %v", field, err)
		}
	}
}
