package tlsbuf

import (
	"crypto/tls"
	"runtime"
	"sync"
	"time"
)

// Merged is a connection for a server of HTTP/2, which writes a frame at a time (of 16 KiB, unless the client wants
// larger ones), each from a goroutine of its own. What it writes while earlier bytes are leaving leaves together. A
// write tells of the failure of an earlier one.
type Merged struct {
	*tls.Conn
	over *Conn

	silence time.Duration // static

	mu      sync.Mutex
	changed sync.Cond
	held    *[mergeSize]byte // nil: nothing is waiting
	n       int              // of held
	leaving bool             // writeOut runs
	failed  error            // all writes to come
}

// mergeSize is what waits at most, while as much is leaving. Half of it costs a tenth more.
const mergeSize = 256 << 10

// Merge wraps c. Writing fails once the client takes no byte for so long.
func Merge(c *Conn, silence time.Duration) *Merged {
	c.socket.out.silence.Store(int64(silence))
	m := &Merged{Conn: c.Conn, over: c, silence: silence}
	m.changed.L = &m.mu
	return m
}

func (m *Merged) Write(p []byte) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		for m.n == mergeSize && m.failed == nil {
			m.changed.Wait()
		}
		if n == len(p) || m.failed != nil {
			return n, m.failed
		}
		if m.held == nil && (m.leaving || len(p) >= recordData) {
			m.held = merges.get()
		}
		if m.held == nil {
			return len(p), m.writeAtOnce(p[n:])
		}
		taken := copy(m.held[m.n:], p[n:])
		m.n, n = m.n+taken, n+taken
		if !m.leaving {
			m.leaving = true
			go m.writeOut()
		}
	}
}

// writeAtOnce is for what is small and alone, and for when there is no buffer. It is called with mu held, and gives it
// up meanwhile.
func (m *Merged) writeAtOnce(p []byte) error {
	for m.leaving {
		m.changed.Wait()
	}
	if m.failed != nil {
		return m.failed
	}
	m.leaving = true
	m.mu.Unlock()
	_, err := m.over.writeTogether(p)
	m.mu.Lock()
	m.failed = err
	if m.leaving = m.held != nil; m.leaving { // written meanwhile
		go m.writeOut()
	}
	m.changed.Broadcast()
	return err
}

// writeOut goes on until nothing is left. It lets those run first who have more to write at this moment.
func (m *Merged) writeOut() {
	for {
		runtime.Gosched()
		runtime.Gosched()
		held, n := m.take()
		if held == nil {
			return
		}
		_, err := m.over.writeTogether(held[:n])
		merges.put(held)
		if err != nil {
			m.fail(err)
		}
	}
}

// take is nil if nothing is to be written: then writeOut has ended.
func (m *Merged) take() (held *[mergeSize]byte, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.changed.Broadcast()
	held, n = m.held, m.n
	m.held, m.n = nil, 0
	if m.failed != nil && held != nil {
		merges.put(held)
		held = nil
	}
	m.leaving = held != nil
	return held, n
}

func (m *Merged) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = err
}

// goodbye is how long Close waits for a client that takes nothing, as TLS does for its alert.
const goodbye = 5 * time.Second

// Close has what was written leave first, as long as some of it does, and for silence at most.
func (m *Merged) Close() error {
	bound := time.AfterFunc(m.silence, func() { _ = m.NetConn().Close() })
	defer bound.Stop()
	m.over.socket.out.hurry(goodbye)
	m.mu.Lock()
	for m.leaving {
		m.changed.Wait()
	}
	m.mu.Unlock()
	return m.Conn.Close()
}
