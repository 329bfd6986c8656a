package command

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// screen rewrites lines in place on a terminal. Anywhere else it shows nothing: logs have no use for half of an answer.
type screen struct {
	w     io.Writer // nil: no terminal
	lines int       // that stand there
}

func newScreen(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return &screen{}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &screen{}
	}
	return &screen{w: w}
}

// columns is as much as any terminal has: a line that wraps could not be counted.
const columns = 79

func (s *screen) draw(lines ...string) {
	if s.w == nil {
		return
	}
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.lines)
	}
	for _, l := range lines {
		if r := []rune(l); len(r) > columns {
			l = string(r[:columns])
		}
		b.WriteString(strings.Map(noControl, l) + "\n")
	}
	s.lines = len(lines)
	fmt.Fprint(s.w, b.String())
}

// noControl: what others said must not move the cursor.
func noControl(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}
