package strict

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take on a machine that is busy.
const patience = 30 * time.Second

// strictListener wraps what it accepts.
type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return New(c, patience, NewHeads(1<<20), nil), nil
}

// serve is net/http's server behind this package, and a connection to it.
func serve(t *testing.T, handler http.HandlerFunc) *net.TCPConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience, MaxHeaderBytes: MaxHead}
	go func() { _ = server.Serve(strictListener{l}) }()
	t.Cleanup(func() { _ = server.Close() })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// next is the next answer's status and body.
func next(t *testing.T, r *bufio.Reader) (status int, body string) {
	t.Helper()
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(all)
}

// TestAnswersKeepTheirTurn: what follows a request that is being answered is refused behind its answer, and the request
// goes on.
func TestAnswersKeepTheirTurn(t *testing.T) {
	for _, behind := range []string{
		"GET /v2/ HTTP/1.1\nHost: a\r\n\r\n", "\x16\x03\x01", "\r\n\r\n\r\n", "GET /v2/ HTTP/1.1\r\n\r\n",
		"\r\nGET /second HTTP/1.1\r\n\r\n", "G(T / HTTP/1.1\r\n",
	} {
		arrived, goOn := make(chan bool), make(chan bool)
		conn := serve(t, func(w http.ResponseWriter, r *http.Request) {
			arrived <- true
			<-goOn
			if r.Context().Err() != nil {
				t.Errorf("before %q: the request was given up", behind)
			}
			fmt.Fprint(w, r.URL.Path)
		})
		send(t, conn, "POST /first HTTP/1.1\r\n"+host+"Content-Length: 2\r\n\r\nhi"+behind)
		<-arrived
		goOn <- true
		r := bufio.NewReader(conn)
		if status, body := next(t, r); status != 200 || body != "/first" {
			t.Errorf("before %q: %d %q", behind, status, body)
		}
		if status, body := next(t, r); status != 400 || !strings.HasPrefix(body, `{"errors":[{"code":"UNSUPPORTED",`) {
			t.Errorf("%q: %d %q", behind, status, body)
		}
		if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
			t.Errorf("%q: then %q, %v", behind, rest, err)
		}
	}
}

// TestPipelined: requests that come at once, and those that come a byte at a time, are answered in turn.
func TestPipelined(t *testing.T) {
	conn := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %v", r.URL.Path, body, err)
	})
	text := "POST /1 HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nhi\r\n" +
		"GET /2 HTTP/1.1\r\n" + host + "\r\n" +
		"PUT /3 HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n" +
		"GET /4 HTTP/1.1\r\n" + host + "\r\n"
	go func() {
		_, _ = io.WriteString(conn, text)
		for i := range text {
			_, _ = io.WriteString(conn, text[i:i+1])
		}
	}()
	r := bufio.NewReader(conn)
	for range 2 {
		for _, want := range []string{"/1 hi <nil>", "/2  <nil>", "/3 hello <nil>", "/4  <nil>"} {
			if status, body := next(t, r); status != 200 || body != want {
				t.Fatalf("%d %q, want %q", status, body, want)
			}
		}
	}
}

// TestBrokenBodies: the handler gets an error that is no end of the body, and may answer.
func TestBrokenBodies(t *testing.T) {
	for _, body := range broken {
		conn := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			if err == nil || r.Context().Err() != nil {
				t.Errorf("%.200q: %v, %v", body, err, r.Context().Err())
			}
			w.WriteHeader(http.StatusTeapot)
		})
		send(t, conn, chunkedHead+body+strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1000))
		answers, err := io.ReadAll(conn)
		if n := strings.Count(string(answers), "HTTP/1.1 "); n != 1 || err != nil ||
			!strings.HasPrefix(string(answers), "HTTP/1.1 418 ") {
			t.Errorf("%.200q: %.100q, %v", body, answers, err)
		}
	}
}

// TestClientLeaves: a handler is told while it works.
func TestClientLeaves(t *testing.T) {
	told := make(chan bool)
	conn := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		told <- true
	})
	send(t, conn, "GET /v2/ HTTP/1.1\r\n"+host+"\r\n")
	conn.Close()
	<-told
}

// TestRefusalIsReadToItsEnd: who still sends when he is refused gets the whole answer, and no reset in its place.
func TestRefusalIsReadToItsEnd(t *testing.T) {
	conn := serve(t, http.NotFound)
	go func() { _, _ = io.WriteString(conn, head1+"X: "+strings.Repeat("y", 8*MaxHead)+"\r\n\r\n") }()
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
		t.Errorf("%q, %v", answer, err)
	}
}
