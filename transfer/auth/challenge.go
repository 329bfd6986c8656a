package auth

import (
	"net/http"
	"strings"
)

// challenge is how a registry wants to be asked (RFC 9110, "WWW-Authenticate"; of Bearer: the distribution project's token
// specification).
type challenge struct {
	basic          bool
	realm, service string // of a bearer's tokens
}

// challengeOf prefers bearer: who offers both has tokens for clients that can use them.
func challengeOf(header http.Header) (found challenge, ok bool) {
	for _, line := range header.Values("WWW-Authenticate") {
		for _, c := range parseChallenges(line) {
			switch {
			case c.scheme == "bearer" && c.parameters["realm"] != "":
				return challenge{realm: c.parameters["realm"], service: c.parameters["service"]}, true
			case c.scheme == "basic":
				found, ok = challenge{basic: true}, true
			}
		}
	}
	return found, ok
}

type parsedChallenge struct {
	scheme     string // in lower case
	parameters map[string]string
}

// parseChallenges reads `Bearer realm="https://x/token",service="y", Basic realm="z"`. A word with no "=" behind it begins
// the next challenge; what it cannot read ends it.
func parseChallenges(line string) (all []parsedChallenge) {
	for {
		line = strings.TrimLeft(line, " \t,")
		end := strings.IndexAny(line, " \t,=\"")
		if end < 0 {
			end = len(line)
		}
		word := strings.ToLower(line[:end])
		if word == "" {
			return all
		}
		rest := strings.TrimLeft(line[end:], " \t")
		if !strings.HasPrefix(rest, "=") {
			all = append(all, parsedChallenge{word, map[string]string{}})
			line = line[end:]
			continue
		}
		value, after, ok := parameterValue(strings.TrimLeft(rest[1:], " \t"))
		if !ok || len(all) == 0 {
			return all
		}
		all[len(all)-1].parameters[word] = value
		line = after
	}
}

// parameterValue is a token or a quoted string, and what follows it.
func parameterValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, " \t,")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
