package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-gateway/fairlead/admin"
)

// want is which replicas an image is to be on.
type want struct {
	count int      // 0: all that are to have it, or names
	names []string // nil: any
}

// parseWant reads all, a number, or names.
func parseWant(text string, replicas []string) (want, error) {
	if text == "all" {
		return want{}, nil
	}
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > len(replicas) {
			return want{}, fmt.Errorf("--replicas %d: there are %d", n, len(replicas))
		}
		return want{count: n}, nil
	}
	names := strings.Split(text, ",")
	for _, name := range names {
		if !slices.Contains(replicas, name) {
			return want{}, fmt.Errorf("--replicas: no replica %q; there are %s", name, strings.Join(replicas, ", "))
		}
	}
	slices.Sort(names)
	return want{names: slices.Compact(names)}, nil
}

// progress is how many of the wanted replicas have the image.
func (w want) progress(i admin.Image) (there, of int) {
	of = len(w.names)
	for _, p := range i.Replicas {
		named := slices.Contains(w.names, p.Replica)
		if w.names == nil && w.count == 0 && p.State.Expected() {
			of++
		}
		if p.State == admin.There && (w.names == nil || named) {
			there++
		}
	}
	if w.count > 0 {
		return min(there, w.count), w.count
	}
	return there, of
}

// met: nothing is there of what was deleted, nor where nobody is to have it.
func (w want) met(i admin.Image) bool {
	there, of := w.progress(i)
	return !i.Deleted && there > 0 && there == of
}
