package strict

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDivertible: at each step it is known whether the rest of a body comes from the socket alone.
func TestDivertible(t *testing.T) {
	const headText = "PUT /v2/ HTTP/1.1\r\n" + host + "Content-Length: 100000\r\n\r\n"
	body := strings.Repeat("x", 100_000)
	s := &script{pieces: [][]byte{[]byte(headText + body[:1000]), []byte(body[1000:2000]), []byte(body[2000:])}}
	c := New(s, 0, NewHeads(1<<20), nil)
	buf, got := make([]byte, 128<<10), int64(0)
	for i, want := range []struct {
		read, handed int
		divertible   int64
	}{
		{4096, len(headText), 0}, // some of the body is held
		{600, 600, 0},
		{4096, 400, 99_000},
		{4096, 1000, 98_000},
		{90_000, 90_000, 0}, // what is left is too little
	} {
		n, err := c.Read(buf[:want.read])
		if i > 0 {
			got += int64(n)
		}
		if n != want.handed || err != nil || c.Divertible(got) != want.divertible || c.Divertible(got+1) != 0 {
			t.Errorf("%d: read %d, %v; %d can be diverted, and %d", i, n, err, c.Divertible(got), c.Divertible(got+1))
		}
	}
}

// into remembers where it was read into.
type into struct {
	script
	at []byte
}

func (i *into) Read(p []byte) (int, error) { i.at = p; return i.script.Read(p) }

// TestBodiesAreReadInPlace: what nobody need look at goes from the socket to the reader, and no byte beyond it.
func TestBodiesAreReadInPlace(t *testing.T) {
	for _, head := range []string{head1 + "Content-Length: 100000\r\n\r\n", chunkedHead + "186a0\r\n"} {
		s := &into{script: script{pieces: [][]byte{[]byte(head), make([]byte, 100_000)}}}
		c := New(s, 0, NewHeads(1<<20), nil)
		buf := make([]byte, 128<<10)
		for s.pieces = s.pieces[:1:1]; c.judged == 0 && len(s.pieces) > 0; {
			_, _ = c.Read(buf)
		}
		if c.held.len() > c.given {
			_, _ = c.Read(buf)
		}
		s.pieces = [][]byte{make([]byte, 100_000)}
		if n, _ := c.Read(buf[100:]); n != 100_000 || &s.at[0] != &buf[100] || len(s.at) > n+chunkAhead {
			t.Errorf("%q: %d bytes, read into %d", head, n, len(s.at))
		}
	}
}

// endless is one request again and again.
type endless struct {
	script
	text []byte
}

func (e *endless) Read(p []byte) (int, error) { return copy(p, e.text), nil }

const small = "HEAD /v2/library/app/blobs/sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b HTTP/1.1\r\n" +
	"Host: registry.contoso.com\r\nUser-Agent: containers/5.36.1 (github.com/containers/image)\r\n" +
	"Authorization: Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJhY2Nlc3MiOltdLCJhdWQiOiJyZWdpc3RyeSJ9.c2lnbmF0dXJl\r\n" +
	"Docker-Distribution-Api-Version: registry/2.0\r\nAccept-Encoding: gzip\r\n\r\n"

func TestNothingIsAllocated(t *testing.T) {
	c, buf := New(&endless{text: []byte(small)}, 0, NewHeads(1<<20), nil), make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Read(buf) }); n > 0 {
		t.Errorf("%v allocations for a request", n)
	}
}

func BenchmarkSmallRequest(b *testing.B) {
	c, buf := New(&endless{text: []byte(small)}, 0, NewHeads(1<<20), nil), make([]byte, 4096)
	b.SetBytes(int64(len(small)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := c.Read(buf); n != len(small) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// TestHeadTime: a head that has begun is not waited for as long as one that has not.
func TestHeadTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, inner := net.Pipe()
		defer client.Close()
		c := New(inner, 10*time.Second, NewHeads(1<<20), nil)
		buf := make([]byte, 4096)
		begun := time.Now()
		_ = c.SetReadDeadline(begun.Add(2 * time.Minute))
		go func() { _, _ = io.WriteString(client, "GET /v2/ HTTP/1.1\r\n"+host+"\r\n") }()
		if n, err := c.Read(buf); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		go func() {
			time.Sleep(time.Minute)
			_, _ = io.WriteString(client, "GET ")
		}()
		if n, err := c.Read(buf); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 70*time.Second {
			t.Errorf("%d bytes, %v after %v", n, err, time.Since(begun))
		}
		_ = c.SetReadDeadline(begun.Add(3 * time.Minute)) // the head's still holds
		if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 70*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// TestBodyTime: a head's deadline ends with the head.
func TestBodyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, inner := net.Pipe()
		defer client.Close()
		c := New(inner, 10*time.Second, NewHeads(1<<20), nil)
		go func() {
			_, _ = io.WriteString(client, head1)
			_, _ = io.WriteString(client, "Content-Length: 2\r\n\r\n")
			time.Sleep(time.Minute)
			_, _ = io.WriteString(client, "hi")
		}()
		buf := make([]byte, 4096)
		if n, err := c.Read(buf); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := c.Read(buf); n != 2 || err != nil {
			t.Errorf("%d bytes of the body, %v", n, err)
		}
	})
}

// TestBufferIsUsedAgain: what was dropped makes room.
func TestBufferIsUsedAgain(t *testing.T) {
	var b buffer
	for i := range 100 {
		b.add(bytes.Repeat([]byte{byte(i)}, 1000))
		if i > 0 {
			b.drop(1000)
		}
	}
	if cap(b.all) > bufferSize || b.len() != 1000 || b.bytes()[0] != 99 {
		t.Errorf("%d bytes in %d", b.len(), cap(b.all))
	}
}

// TestDeadlineLosesNothing: net/http ends its read ahead by a deadline.
func TestDeadlineLosesNothing(t *testing.T) {
	client, inner := net.Pipe()
	defer client.Close()
	c := New(inner, time.Minute, NewHeads(1<<20), nil)
	sent, goOn := make(chan bool), make(chan bool)
	go func() {
		_, _ = io.WriteString(client, "\r")
		sent <- true
		<-goOn
		_, _ = io.WriteString(client, "\nGET /v2/ HTTP/1.1\r\n"+host)
		sent <- true
		_, _ = io.WriteString(client, "\r\n")
	}()
	one := make([]byte, 1)
	ended := make(chan error)
	go func() { _, err := c.Read(one); ended <- err }()
	<-sent
	_ = c.SetReadDeadline(time.Unix(1, 0))
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Time{})
	close(goOn)
	if n, err := c.Read(one); n != 1 || one[0] != 'G' || err != nil {
		t.Fatal(n, err, one)
	}
	go func() { <-sent }()
	var rest bytes.Buffer
	for buf := make([]byte, 4096); rest.Len() < len("ET /v2/ HTTP/1.1\r\n"+host+"\r\n"); {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		rest.Write(buf[:n])
	}
	if rest.String() != "ET /v2/ HTTP/1.1\r\n"+host+"\r\n" {
		t.Errorf("%q", rest.String())
	}
}
