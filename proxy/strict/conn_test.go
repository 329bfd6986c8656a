package strict

import (
	"bytes"
	"io"
	"net"
	"time"
)

// script is a client's connection whose bytes come in pieces.
type script struct {
	net.Conn // nil
	pieces   [][]byte
	written  bytes.Buffer
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error)    { return s.written.Write(p) }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }
func (*script) Close() error                     { return nil }

func pieces(text string, step int) (all [][]byte) {
	for len(text) > 0 {
		n := min(step, len(text))
		all = append(all, []byte(text[:n]))
		text = text[n:]
	}
	return all
}

// played is what came of a connection.
type played struct {
	out    string
	err    error // after which nothing came; nil: EOF
	answer string
}

func play(text string, step, room int) (got played) {
	s := &script{pieces: pieces(text, step)}
	c := New(s, time.Second, NewHeads(1<<20), nil)
	out, err := drain(c, room)
	return played{out: out, err: err, answer: s.written.String()}
}

func drain(c *Conn, room int) (string, error) {
	var all bytes.Buffer
	_, err := io.CopyBuffer(struct{ io.Writer }{&all}, struct{ io.Reader }{c}, make([]byte, room))
	return all.String(), err
}
