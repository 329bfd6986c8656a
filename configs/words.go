package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/geo"
)

// maxListed bounds how many known words a message repeats.
const maxListed = 16

func oneOf[T ~string](words ...T) func(string) (T, string) {
	return func(s string) (T, string) {
		if slices.Contains(words, T(s)) {
			return T(s), ""
		}
		known := make([]string, len(words))
		for i, w := range words {
			known[i] = string(w)
		}
		return "", fmt.Sprintf(ruleOneOf, strings.Join(known, ", "))
	}
}

// brief writes a duration as people do: 10m rather than 10m0s.
func brief(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// suggest points to the known word that was probably meant, or lists them.
func suggest(word string, known []string) string {
	best, least := "", 1+max(2, len(word)/3)
	if len(word) <= 64 { // longer ones resemble nothing, and comparing costs length times length
		for _, k := range known {
			if n := geo.EditDistance(word, k); n < least {
				best, least = k, n
			}
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %s?", best)
	case len(known) > maxListed:
		return fmt.Sprintf("known are %s and %d more", strings.Join(known[:maxListed], ", "), len(known)-maxListed)
	}
	return "known are " + strings.Join(known, ", ")
}

// sizeUnits are those of Kubernetes and IEC 80000-13. "MB" means one thing to some and another to others.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

func parseSize(s string) (bytes int64, ok bool) {
	for _, unit := range sizeUnits {
		number, found := strings.CutSuffix(s, unit.name)
		if n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 31); found && err == nil {
			return int64(n) * unit.bytes, true
		}
	}
	return 0, false
}

// sizeText is a size in the largest unit of which it is a multiple.
func sizeText(bytes int64) string {
	text := strconv.FormatInt(bytes, 10)
	for _, unit := range sizeUnits {
		if bytes%unit.bytes == 0 {
			text = strconv.FormatInt(bytes/unit.bytes, 10) + unit.name
		}
	}
	return text
}
