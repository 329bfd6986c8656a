package strict

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// begun is a connection on which so many bytes of a head have come, and no end.
func begun(t *testing.T, heads *Heads, n int) (*Conn, *script) {
	t.Helper()
	text := head1 + "X: " + strings.Repeat("x", n)
	s := &script{pieces: pieces(text, 1000)}
	c := New(s, 0, heads, nil)
	for len(s.pieces) > 0 && c.refusal == nil {
		if err := c.take(); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	return c, s
}

// TestHeadsAreBounded: who sends large heads slowly is refused once others hold what there is. A small one needs none
// of it, and what was taken comes back, also from a connection that is closed in the middle.
func TestHeadsAreBounded(t *testing.T) {
	heads := NewHeads(16 << 10)
	first, _ := begun(t, heads, 10_000)
	if first.refusal != nil {
		t.Fatal(first.refusal)
	}
	second, s := begun(t, heads, 10_000)
	if second.refusal != errNoRoom {
		t.Fatal("it was not refused:", second.refusal)
	}
	if _, err := second.Read(make([]byte, 4096)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	answer := s.written.String()
	if !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "Retry-After: 5\r\n") ||
		!strings.Contains(answer, "UNAVAILABLE") {
		t.Errorf("it was answered %q", answer)
	}
	small, _ := begun(t, heads, 3000)
	if small.refusal != nil {
		t.Error("a small one was refused:", small.refusal)
	}
	_ = first.Close()
	if n := heads.held.Load(); n != 0 {
		t.Errorf("%d bytes are held after all", n)
	}
	whole := head1 + "X: " + strings.Repeat("x", 10_000) + "\r\n\r\n"
	c := New(&script{pieces: pieces(whole, 1000)}, 0, heads, nil)
	got := make([]byte, len(whole))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte(whole)) {
		t.Error("one that fits:", err)
	}
	if n := heads.held.Load(); n != 0 {
		t.Errorf("%d bytes are held of what was handed on", n)
	}
}
