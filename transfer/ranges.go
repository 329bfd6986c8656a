package transfer

import (
	"strconv"
	"strings"
)

// contentRange reads "bytes 5-9/10". It returns -1 for what the text does not say.
func contentRange(text string) (start, size int64) {
	text, ok := strings.CutPrefix(strings.ToLower(text), "bytes ")
	span, total, _ := strings.Cut(text, "/")
	first, _, _ := strings.Cut(span, "-")
	if !ok {
		return -1, -1
	}
	return number(first), number(total)
}

// number reads a number. It returns -1 for anything else.
func number(text string) int64 {
	n, err := strconv.ParseUint(text, 10, 62)
	if err != nil {
		return -1
	}
	return int64(n)
}

// received reads "0-9", or "bytes=0-9", which are ten bytes. It returns -1 for anything else, and for "0-0", which
// registries say of one byte and of none.
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
