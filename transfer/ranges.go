package transfer

import (
	"strconv"
	"strings"
)

// contentRange reads "bytes 5-9/10"; -1 is what it does not say.
func contentRange(text string) (start, size int64) {
	text, ok := strings.CutPrefix(strings.ToLower(text), "bytes ")
	span, total, _ := strings.Cut(text, "/")
	first, _, _ := strings.Cut(span, "-")
	if !ok {
		return -1, -1
	}
	return number(first), number(total)
}

// number is -1 for what is none.
func number(text string) int64 {
	n, err := strconv.ParseUint(text, 10, 62)
	if err != nil {
		return -1
	}
	return int64(n)
}

// received reads "0-9", or "bytes=0-9": ten bytes. Registries say "0-0" of one byte and of none: -1, as of anything
// else.
func received(text string) int64 {
	last, ok := strings.CutPrefix(unit(text), "0-")
	n := number(last)
	if !ok || n <= 0 {
		return -1
	}
	return n + 1
}

func nothing(text string) bool { return unit(text) == "0-0" || unit(text) == "0--1" }

func unit(text string) string { return strings.TrimPrefix(text, "bytes=") }
