package strict

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A client that is refused may still be sending: a connection that is closed with bytes unread is reset, and the answer
// lost with it (RFC 9112, 9.6). So what comes is read on, for so long and so far.
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// unreadable stands where a body breaks the rules. No reader of chunked bodies takes it, where a chunk's size, its end
// or a trailer is due: who reads the body gets an error, and the connection is still there for his answer.
const unreadable = "!!\r\n\r\n"

// refuse is for a head. It is answered when the server comes for it, which is after all answers before.
func (c *Conn) refuse(why *Refusal) {
	c.relax()
	c.drop(c.held.len())
	c.refusal = why
}

// answerRefusal answers in the server's place, which sees the connection end.
func (c *Conn) answerRefusal() {
	why := c.refusal
	c.refusal, c.finished = nil, io.EOF
	if c.refused != nil {
		c.refused(why)
	}
	Refuse(c.Conn, why)
}

// Refuse answers what is no request. Only closing is left to do then.
func Refuse(conn net.Conn, why *Refusal) {
	_ = conn.SetWriteDeadline(time.Now().Add(lingerTime))
	if _, err := conn.Write(why.answer()); err == nil {
		linger(conn)
	}
}

// answer is the whole answer, in the OCI error envelope (distribution spec, "Error Codes").
func (r *Refusal) answer() []byte {
	type ociError struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	code, more := "UNSUPPORTED", ""
	if r.Status == http.StatusServiceUnavailable {
		code, more = "UNAVAILABLE", "Retry-After: 5\r\n"
	}
	body, err := json.Marshal(map[string][]ociError{"errors": {{code, r.Why}}})
	if err != nil {
		body = []byte(`{"errors":[]}`)
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"%sConnection: close\r\n\r\n%s", r.Status, http.StatusText(r.Status), len(body), more, body)
}

// breakOff is for the middle of a body, whose request has been handed on.
func (c *Conn) breakOff(why *Refusal) {
	c.drop(c.held.len())
	c.held.add([]byte(unreadable))
	c.ready = len(unreadable)
	c.finished = why
	c.broken.Store(true)
	if c.refused != nil {
		c.refused(why)
	}
}

// linger says goodbye, and reads what the client still sends.
func linger(conn net.Conn) {
	_ = closeWrite(conn)
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}

// CloseWrite is how a server says goodbye to a client that still sends.
func (c *Conn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close lingers where a body was broken off.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.giveBack()
	if c.broken.Swap(false) {
		linger(c.Conn)
	}
	return c.Conn.Close()
}
