package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAllIsReadStrictly: in clear text and within TLS, what net/http would take is refused before it.
func TestAllIsReadStrictly(t *testing.T) {
	for _, secure := range []bool{false, true} {
		l := newLimited(t, 5, secure)
		conn := l.dial()
		if !l.asks(conn, "/") {
			t.Fatal("a good request is refused")
		}
		fmt.Fprint(conn, "GET / HTTP/1.1\nHost: x\r\n\r\n")
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.Contains(string(answer), `"errors"`) {
			t.Errorf("TLS %v: %q, %v", secure, answer, err)
		}
	}
}

// TestServerKnowsTLS: what is forwarded says how the client came (X-Forwarded-Proto).
func TestServerKnowsTLS(t *testing.T) {
	for protocol, secure := range map[string]bool{"": false, "http/1.1": true, protocolHTTP2: true} {
		l := newLimited(t, 5, secure)
		transport := &http.Transport{}
		scheme := "http"
		if secure {
			scheme = "https"
			transport.TLSClientConfig = l.trust.Clone()
			transport.ForceAttemptHTTP2 = protocol == protocolHTTP2
		}
		t.Cleanup(transport.CloseIdleConnections)
		response, err := (&http.Client{Transport: transport, Timeout: patience}).Get(scheme + "://" + l.address + "/tls")
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if want := fmt.Sprint(secure); string(said) != want || (response.ProtoMajor == 2) != (protocol == protocolHTTP2) {
			t.Errorf("%q: %s, TLS %s", protocol, response.Proto, said)
		}
	}
}

// TestClearTextToTLS: who speaks no TLS to a port of TLS is told so, if he speaks HTTP.
func TestClearTextToTLS(t *testing.T) {
	l := newLimited(t, 5, true)
	for text, status := range map[string]string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n": "HTTP/1.1 400 ",
		"\x00\x01\x02\x03\x04\x05\x06":      "",
	} {
		conn, err := net.Dial("tcp", l.address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(conn, text)
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if len(answer) > 0 != (status != "") || !strings.HasPrefix(string(answer), status) {
			t.Errorf("%q: %q", text, answer)
		}
	}
}

// TestHandshakesOutlastTheSocket: who had connected when the gateway stopped to listen is served.
func TestHandshakesOutlastTheSocket(t *testing.T) {
	l := newLimited(t, 5, true)
	raw, err := net.Dial("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(patience))
	hello := &gate{Conn: raw, sent: make(chan bool), goOn: make(chan bool)}
	answered := make(chan bool)
	go func() { answered <- l.asks(tls.Client(hello, l.trust), "/") }()
	<-hello.sent // the hello: the handshake is under way
	if answer := make([]byte, 1); readOne(hello, answer) {
		l.inner.Close()
	}
	close(hello.goOn)
	if !await(t, answered, "the answer") {
		t.Error("not answered")
	}
}

// gate lets its first bytes pass, and holds up what is read until told.
type gate struct {
	net.Conn
	sent, goOn chan bool
	first      []byte
	begun      bool
}

func (g *gate) Write(p []byte) (int, error) {
	n, err := g.Conn.Write(p)
	if !g.begun {
		g.begun = true
		close(g.sent)
	}
	return n, err
}

// readOne waits for the server's first byte.
func readOne(g *gate, into []byte) bool {
	n, err := g.Conn.Read(into)
	g.first = into[:n]
	return err == nil
}

func (g *gate) Read(p []byte) (int, error) {
	<-g.goOn
	if n := copy(p, g.first); n > 0 {
		g.first = nil
		return n, nil
	}
	return g.Conn.Read(p)
}
