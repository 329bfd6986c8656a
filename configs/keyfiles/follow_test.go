package keyfiles

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
)

// handshakeOnce is what a client says of a server.
func handshakeOnce(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	_ = ours.SetDeadline(time.Now().Add(time.Minute))
	go func() {
		defer ours.Close()
		_ = tls.Server(ours, server).Handshake()
	}()
	return tls.Client(theirs, client).Handshake()
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// replace puts a copy of one file in the place of another, as a renewal does.
func replace(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to+".new", string(data))
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

// TestReplacedFiles: what is replaced on the disk counts from the next connection on, and what cannot be read does not.
func TestReplacedFiles(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { replacedFiles(t, dir) })
}

func replacedFiles(t *testing.T, dir string) {
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"old", "new", "server"} {
		keyfilestest.WritePair(dir, name)
	}
	replace(t, file("old.pem"), file("server.pem"))
	replace(t, file("old.key"), file("server.key"))
	replace(t, file("old.pem"), file("ca.pem"))
	pair, err := Pair(file("server.pem"), file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair(), nil }}
	client, err := Client{Trust: Trust{file("ca.pem")}, ServerName: "registry.contoso.com"}.Config()
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, well bool) {
		t.Helper()
		time.Sleep(statEvery)
		if err := handshakeOnce(t, server, client); (err == nil) != well {
			t.Errorf("%s: %v", what, err)
		}
	}
	step("as they were", true)
	replace(t, file("new.pem"), file("server.pem"))
	step("a certificate without its key", true)
	replace(t, file("new.key"), file("server.key"))
	step("another authority's certificate", false)
	replace(t, file("new.pem"), file("ca.pem"))
	step("that authority", true)
	write(t, file("ca.pem"), "half")
	step("a file that cannot be read", true)
	if err := os.Remove(file("ca.pem")); err != nil {
		t.Fatal(err)
	}
	step("one that is gone", true)
	replace(t, file("old.pem"), file("ca.pem"))
	step("the authority before", false)
}

// TestTrust: which servers are believed, by which words of the file.
func TestTrust(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"server", "other"} {
		keyfilestest.WritePair(dir, name)
	}
	file := func(name string) string { return filepath.Join(dir, name+".pem") }
	pair, err := tls.LoadX509KeyPair(file("server"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		trust Trust
		host  string // asked for
		known string // the file's
		want  string // part of the error
	}{
		{"its own", Trust{file("server")}, "registry.contoso.com", "", ""},
		{"beside the system's", Trust{SystemRoots, file("server")}, "registry.contoso.com", "", ""},
		{"one of several", Trust{file("other"), file("server")}, "registry.contoso.com", "", ""},
		{"the system's alone", Trust{SystemRoots}, "registry.contoso.com", "", "unknown authority"},
		{"nobody's", nil, "registry.contoso.com", "", "unknown authority"},
		{"another one's", Trust{file("other")}, "registry.contoso.com", "",
			"registry.contoso.com: x509: certificate signed by unknown authority"},
		{"of another name", Trust{file("server")}, "tokens.contoso.com", "",
			"tokens.contoso.com: x509: certificate is valid for"},
		{"by the file's address", Trust{file("server")}, "127.0.0.1", "127.0.0.1", ""},
		{"by another address", Trust{file("server")}, "127.0.0.2", "127.0.0.2", "127.0.0.2"},
		{"by an address that the file does not name", Trust{file("server")}, "127.0.0.1", "", "does not name"},
	} {
		client, err := Client{Trust: c.trust, Host: c.known, ServerName: c.host}.Config()
		if err != nil {
			t.Fatal(err)
		}
		err = handshakeOnce(t, &tls.Config{Certificates: []tls.Certificate{pair}}, client)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
