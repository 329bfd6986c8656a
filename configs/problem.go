package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing wrong with a file, or for Warnings one thing that may surprise its writer.
type Problem struct {
	File  string
	Line  int    // 1-based; 0 when it is about all of the file
	Field string // such as replicas[1].place; empty when it is about all of the file
	Value string // as written, shortened, without what may be a secret; empty when there is none to show
	Rule  string // what the value must be, or is not
}

// String is one line: FILE:LINE: field: rule (got "value").
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line))
	}
	if p.Field != "" {
		b.WriteString(": " + p.Field)
	}
	b.WriteString(": " + p.Rule)
	if p.Value != "" {
		fmt.Fprintf(&b, " (got %q)", p.Value)
	}
	return b.String()
}

// Problems is everything wrong with a file and those beside it, in the order of their lines.
type Problems []Problem

// Error is one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// byLine sorts in place, those of the main file first, and keeps the order of discovery within a line.
func (p Problems) byLine(main string) Problems {
	file := func(p Problem) string {
		if p.File == main {
			return ""
		}
		return p.File
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(file(a), file(b)), cmp.Compare(a.Line, b.Line))
	})
	return p
}

// maxShown is the longest value a problem repeats, in bytes: enough for any address or name.
const maxShown = 80

// shown is a value fit for a log: short, and without user information or a query, since passwords and
// tokens are pasted into URLs and these lines end in tickets.
func shown(value string) string {
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		scheme := ""
		if before, _, found := strings.Cut(value[:at], "://"); found {
			scheme = before + "://"
		}
		value = scheme + "***" + value[at:]
	}
	if before, _, found := strings.Cut(value, "?"); found {
		value = before + "?***"
	}
	if len(value) > maxShown {
		value = strings.ToValidUTF8(value[:maxShown], "") + "…"
	}
	return value
}
