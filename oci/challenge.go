package oci

import "strings"

// Challenge is one way in which a registry wants to be asked (RFC 9110, 11.3): a scheme with its parameters.
type Challenge struct {
	Scheme     string            // in lower case
	Parameters map[string]string // by their names in lower case
}

// Challenges reads a line of WWW-Authenticate (RFC 9110, 11.6.1): `Bearer realm="https://x/token",service="y", Basic
// realm="z"`. A comma separates challenges as well as parameters, so a word is a parameter if "=" follows it, and else
// a scheme. Anything else is skipped.
func Challenges(line string) (all []Challenge) {
	for {
		line = strings.TrimLeft(line, " \t,")
		if line == "" {
			return all
		}
		word, rest := token(line)
		if word == "" {
			line = line[1:]
			continue
		}
		line = rest
		after, isParameter := strings.CutPrefix(strings.TrimLeft(line, " \t"), "=")
		if !isParameter {
			all = append(all, Challenge{strings.ToLower(word), map[string]string{}})
			continue
		}
		value, rest, ended := valueIn(strings.TrimLeft(after, " \t"))
		line = rest
		if len(all) > 0 && ended {
			all[len(all)-1].Parameters[strings.ToLower(word)] = value
		}
	}
}

// token splits the token (RFC 9110, 5.6.2) from a line that begins with one. word is "" if the line does not.
func token(line string) (word, rest string) {
	end := strings.IndexFunc(line, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
	if end < 0 {
		end = len(line)
	}
	return line[:end], line[end:]
}
