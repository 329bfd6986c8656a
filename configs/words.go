package configs

import (
	"fmt"
	"slices"
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

// within holds for numbers from -limit to limit; not for NaN.
func within(limit float64) func(float64) bool {
	return func(v float64) bool { return -limit <= v && v <= limit }
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
