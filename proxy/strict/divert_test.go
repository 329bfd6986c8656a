package strict

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestDivertIsOfOneBody: a sender that is late gets nothing of the next request's body.
func TestDivertIsOfOneBody(t *testing.T) {
	const length = "Content-Length: 100000\r\n\r\n"
	s := &script{pieces: [][]byte{[]byte(head1 + length), []byte(strings.Repeat("a", 100_000)), []byte(head1 + length),
		[]byte(strings.Repeat("b", 100_000))}}
	c := New(s, 0, NewHeads(1<<20), nil)
	buf := make([]byte, 100_000)
	read := func(want int) {
		t.Helper()
		if n, err := c.Read(buf); n != want || err != nil {
			t.Fatal(n, err)
		}
	}
	taken := 0
	take := func(most int64) (int, error) {
		taken++
		return s.Read(buf[:most])
	}
	read(len(head1 + length))
	first := c.Body()
	if n, err := c.Divert(c, first, take); n != 100_000 || err != nil || buf[0] != 'a' {
		t.Fatalf("%d bytes, %q, %v", n, buf[0], err)
	}
	read(len(head1 + length))
	if n, err := c.Divert(c, first, take); n != 0 || !errors.Is(err, errNoDiversion) || taken != 1 {
		t.Fatalf("late: %d bytes, %v", n, err)
	}
	elsewhere := strings.NewReader("buffered elsewhere")
	if n, err := c.Divert(elsewhere, c.Body(), take); n != 0 || !errors.Is(err, errNoDiversion) {
		t.Fatalf("of a body that does not come from here: %d bytes, %v", n, err)
	}
	if n, err := c.Divert(c, c.Body(), take); n != 100_000 || err != nil || buf[0] != 'b' {
		t.Fatalf("%d bytes, %q, %v", n, buf[0], err)
	}
	if _, err := io.ReadFull(c, buf[:1]); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
