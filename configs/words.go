package configs

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxListed bounds how many known words a message repeats.
const maxListed = 16

func oneOf(words ...string) func(string) (string, string) {
	return func(s string) (string, string) {
		if !slices.Contains(words, s) {
			return "", fmt.Sprintf(ruleOneOf, strings.Join(words, ", "))
		}
		return s, ""
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
			if n := edits(word, k); n < least {
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

// edits counts the insertions, deletions and replacements that turn a into b (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
