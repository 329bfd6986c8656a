package tlsbuf

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// counting is a socket that counts calls of Write.
type counting struct {
	net.Conn
	writes atomic.Int32
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *counting) SyscallConn() (syscall.RawConn, error) { return c.Conn.(*net.TCPConn).SyscallConn() }

// keys are a certificate that a client and a server share.
var keys = sync.OnceValue(func() tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0]
})

// both ends of a connection: ours over socket, and a client's.
func both(t *testing.T, version uint16, ours, theirs net.Conn) (*Conn, *tls.Conn) {
	t.Helper()
	server := tls.Server(Under(ours), &tls.Config{Certificates: []tls.Certificate{keys()}, MaxVersion: version})
	client := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own
	failed := make(chan error, 1)
	go func() { failed <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-failed); err != nil {
		t.Fatal(err)
	}
	return Over(server), client
}

func overTCP(t *testing.T, version uint16) (*Conn, *tls.Conn, *counting) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	theirs, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	counted := &counting{Conn: ours}
	server, client := both(t, version, counted, theirs)
	return server, client, counted
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// pieces writes b in pieces of all sizes, and closes.
func pieces(t *testing.T, to io.WriteCloser, b []byte) {
	for n := 1; len(b) > 0; n = n*3 + 1 {
		n = min(n, len(b), 300_000)
		if _, err := to.Write(b[:n]); err != nil {
			t.Error(err)
			return
		}
		b = b[n:]
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
}

func TestBytesArriveAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, how := range []string{"over", "merged", "to us", "to us, without the socket"} {
			t.Run(tls.VersionName(version)+" "+how, func(t *testing.T) {
				t.Parallel()
				server, client, _ := overTCP(t, version)
				want := random(1 << 20)
				var from io.Reader = client
				switch how {
				case "over":
					go pieces(t, server, want)
				case "merged":
					go pieces(t, Merge(server, time.Minute), want)
				case "to us, without the socket":
					server.socket.in.raw = nil
					fallthrough
				default:
					from = server
					go pieces(t, client, want)
				}
				var got bytes.Buffer
				_, err := io.CopyBuffer(struct{ io.Writer }{&got}, from, make([]byte, 100_000))
				if err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%d of %d bytes, as they were: %t, %v", got.Len(), len(want),
						bytes.Equal(got.Bytes(), want), err)
				}
				if server.socket.in.held != nil || server.socket.out.held != nil {
					t.Error("a buffer is kept at the end")
				}
			})
		}
	}
}

// Where all buffers are lent the same bytes arrive, and none is lent beyond.
func TestWithoutBuffers(t *testing.T) {
	lent, merged := buffers.most, merges.most
	buffers.most, merges.most = 0, 0
	defer func() { buffers.most, merges.most = lent, merged }()
	want := random(1 << 20)
	server, client, _ := overTCP(t, tls.VersionTLS13)
	go pieces(t, Merge(server, time.Minute), want)
	if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
	}
	server, client, _ = overTCP(t, tls.VersionTLS13)
	go pieces(t, client, want)
	if got, err := io.ReadAll(server); err != nil || !bytes.Equal(got, want) {
		t.Errorf("to us: %d of %d bytes, %v", len(got), len(want), err)
	}
}

func TestPoolIsBounded(t *testing.T) {
	p := pool[[1]byte]{most: 2}
	first, second := p.get(), p.get()
	if first == nil || second == nil || p.get() != nil {
		t.Error("not as many as may be")
	}
	p.put(first)
	if p.get() == nil || p.get() != nil {
		t.Error("one was given back")
	}
}

func TestWritesLeaveTogether(t *testing.T) {
	server, client, counted := overTCP(t, tls.VersionTLS13)
	const size = 256 << 10
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.CopyN(io.Discard, client, 2*size) }()
	for range 2 { // the first one has small records (crypto/tls, DynamicRecordSizingDisabled)
		counted.writes.Store(0)
		if n, err := server.Write(random(size)); n != size || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := counted.writes.Load(); n > size/recordData/3 {
		t.Errorf("%d calls for %d records", n, size/recordData)
	}
	<-done
}

func TestReadGetsAllRecordsThatHaveCome(t *testing.T) {
	server, client, _ := overTCP(t, tls.VersionTLS13)
	sent := random(40_000)
	for part := sent; len(part) > 0; part = part[10_000:] {
		if _, err := client.Write(part[:10_000]); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, 100_000)
	// They have come once a read that waits for the last byte gets it: peek by the socket's own buffer.
	server.socket.in.fill = func(fd uintptr) bool {
		held := new([bufferSize]byte)
		n, _, _ := syscall.Recvfrom(int(fd), held[:], syscall.MSG_PEEK)
		return n >= len(sent) && server.socket.in.readOnce(fd)
	}
	n, err := server.Read(buffer)
	if err != nil || !bytes.Equal(buffer[:n], sent) {
		t.Errorf("%d of %d bytes, %v", n, len(sent), err)
	}
}

// A record that has come in part waits for its rest, and breaks nothing.
func TestPartOfARecord(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	slow := &held{Conn: theirs}
	server, client := both(t, tls.VersionTLS13, ours, slow)
	slow.hold = true
	for range 3 {
		if _, err := client.Write(random(10_000)); err != nil {
			t.Fatal(err)
		}
	}
	all := slow.all
	go func() {
		for _, cut := range []int{15_000, 15_002, len(all)} { // in the second record's body
			_, _ = theirs.Write(all[:min(cut, len(all))][len(all)-len(slow.all):])
			slow.all = all[cut:]
		}
	}()
	got := make([]byte, 30_000)
	buffer := make([]byte, 100_000)
	for n := 0; n < len(got); {
		m, err := server.Read(buffer)
		if err != nil {
			t.Fatal(n, err)
		}
		n += copy(got[n:], buffer[:m])
	}
	if want := bytes.Repeat(random(10_000), 3); !bytes.Equal(got, want) {
		t.Error("other bytes than were sent")
	}
}

// held keeps what is written.
type held struct {
	net.Conn
	hold bool
	all  []byte
}

func (h *held) Write(p []byte) (int, error) {
	if !h.hold {
		return h.Conn.Write(p)
	}
	h.all = append(h.all, p...)
	return len(p), nil
}

// A wait for a client needs no buffer.
func TestIdleKeepsNothing(t *testing.T) {
	server, client, _ := overTCP(t, tls.VersionTLS13)
	waits := make(chan struct{})
	server.socket.in.fill = func(fd uintptr) bool {
		done := server.socket.in.readOnce(fd)
		if !done && server.socket.in.held == nil {
			close(waits)
		}
		return done
	}
	read := make(chan error, 1)
	go func() { _, err := server.Read(make([]byte, 10)); read <- err }()
	<-waits
	if _, err := client.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}

// Who closes a connection whose client takes nothing does not wait for what is leaving.
func TestCloseWhileTheClientTakesNothing(t *testing.T) {
	certificate := keys()
	synctest.Test(t, func(t *testing.T) {
		_ = certificate
		ours, theirs := net.Pipe()
		server, _ := both(t, tls.VersionTLS13, ours, theirs)
		written := make(chan error, 1)
		go func() { _, err := server.Write(random(60_000)); written <- err }()
		synctest.Wait() // all is encrypted, and leaving
		if !server.socket.out.leaving {
			t.Error("nothing is leaving")
		}
		began := time.Now()
		_ = server.Close()
		if err := <-written; err == nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		theirs.Close()
	})
}

// What TLS has to say meanwhile is bounded.
func TestLateWritesAreBounded(t *testing.T) {
	certificate := keys()
	synctest.Test(t, func(t *testing.T) {
		_ = certificate
		ours, theirs := net.Pipe()
		server, _ := both(t, tls.VersionTLS13, ours, theirs)
		go func() { _, _ = server.Write(random(60_000)) }()
		synctest.Wait()
		var err error
		for n := 0; err == nil && n < 2*lateMost; n += 32 {
			_, err = server.socket.Write(make([]byte, 32))
		}
		if !errors.Is(err, errTooLate) {
			t.Error(err)
		}
		ours.Close()
		theirs.Close()
	})
}

func TestMergedFailsAfterSilence(t *testing.T) {
	certificate := keys()
	for _, taken := range []int{0, 1000} {
		synctest.Test(t, func(t *testing.T) {
			_ = certificate
			ours, theirs := net.Pipe()
			server, _ := both(t, tls.VersionTLS13, ours, theirs)
			m := Merge(server, time.Minute)
			began := time.Now()
			go func() { // takes some once, in the last second, and never again
				time.Sleep(59 * time.Second)
				_, _ = io.ReadFull(theirs, make([]byte, taken))
			}()
			var err error
			for err == nil {
				_, err = m.Write(random(recordData))
			}
			want := time.Minute
			if taken > 0 {
				want *= 2
			}
			if after := time.Since(began); after != want || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after %v instead of %v: %v", after, want, err)
			}
			_ = m.Close()
			theirs.Close()
		})
	}
}

// Close has what was written arrive, and waits for no client for ever.
// slow waits before each read.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(goodbye / 8)
	return s.Reader.Read(p[:min(len(p), 4<<10)]) // a record takes half of goodbye
}

func TestMergedClose(t *testing.T) {
	certificate := keys()
	for _, takes := range []string{"all", "a little now and then", "nothing"} {
		synctest.Test(t, func(t *testing.T) {
			_ = certificate
			ours, theirs := net.Pipe()
			server, client := both(t, tls.VersionTLS13, ours, theirs)
			m := Merge(server, time.Hour)
			want := random(50_000)
			if _, err := m.Write(want); err != nil {
				t.Fatal(err)
			}
			got := make(chan []byte, 1)
			switch takes {
			case "all":
				go func() { b, _ := io.ReadAll(client); got <- b }()
			case "a little now and then":
				go func() { b, _ := io.ReadAll(slow{client}); got <- b }()
			}
			began := time.Now()
			_ = m.Close()
			if takes != "nothing" {
				if b := <-got; !bytes.Equal(b, want) {
					t.Errorf("%s: %d of %d bytes", takes, len(b), len(want))
				}
			} else if took := time.Since(began); took > 2*goodbye {
				t.Errorf("it took %v", took)
			}
			theirs.Close()
		})
	}
}

// TestBuffersComeBack: from connections that end in the middle of what has come, as well.
func TestBuffersComeBack(t *testing.T) {
	before := buffers.lent.Load()
	for range 20 {
		server, client, _ := overTCP(t, tls.VersionTLS13)
		if _, err := client.Write(random(40_000)); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		_ = server.NetConn().Close()
		_, _ = server.Read(make([]byte, 10))
	}
	if n := buffers.lent.Load() - before; n != 0 {
		t.Errorf("%d buffers are lent", n)
	}
}
