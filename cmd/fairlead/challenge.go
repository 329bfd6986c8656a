package main

import (
	"fmt"
	"slices"
	"strings"
)

// compareChallenges tells which upstreams ask for other credentials than most do: one line for each group that
// differs. A client signs in once, at the one name, and its requests may end on any replica.
func compareChallenges(results []liveResult) []string {
	groups := map[string][]string{} // what is asked for → who asks
	var order []string
	for _, r := range results {
		if r.Target != targetUpstream || r.Err != nil {
			continue
		}
		asks := wanted(r.Challenge)
		if groups[asks] == nil {
			order = append(order, asks)
		}
		groups[asks] = append(groups[asks], r.Replica)
	}
	if len(order) < 2 {
		return nil
	}
	most := slices.MaxFunc(order, func(a, b string) int { return len(groups[a]) - len(groups[b]) })
	var differences []string
	for _, asks := range order {
		if asks != most {
			differences = append(differences, fmt.Sprintf("clients sign in once, but %s wants %s where %s wants %s",
				strings.Join(groups[asks], ", "), asks, strings.Join(groups[most], ", "), most))
		}
	}
	return differences
}

// wanted is what a challenge asks for, in one spelling: schemes, realms and services, in no order. The scope of
// a Bearer challenge depends on the request and is left out.
func wanted(header string) string {
	var all []string
	for _, c := range parseChallenges(header) {
		s := c.scheme
		if c.realm != "" {
			s += fmt.Sprintf(" realm=%q", c.realm)
		}
		if c.service != "" {
			s += fmt.Sprintf(" service=%q", c.service)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return "no credentials"
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " or ")
}

type challenge struct{ scheme, realm, service string }

// parseChallenges reads the list of RFC 9110 section 11.6.1. A comma separates challenges as well as parameters, so
// that a word is a parameter if "=" follows and else a scheme. What is neither is skipped.
func parseChallenges(s string) []challenge {
	var all []challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return all
		}
		word, rest := cutToken(s)
		if word == "" {
			s = s[1:]
			continue
		}
		s = rest
		after, isParameter := strings.CutPrefix(strings.TrimLeft(s, " \t"), "=")
		if !isParameter {
			all = append(all, challenge{scheme: strings.ToLower(word)})
			continue
		}
		var value string
		value, s = parameterValue(strings.TrimLeft(after, " \t"))
		if len(all) > 0 {
			all[len(all)-1].set(strings.ToLower(word), value)
		}
	}
}

func (c *challenge) set(name, value string) {
	switch name {
	case "realm":
		c.realm = value
	case "service":
		c.service = value
	}
}

// cutToken splits the leading token (RFC 9110 section 5.6.2) from s.
func cutToken(s string) (string, string) {
	end := strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// parameterValue splits a leading token or quoted string (section 5.6.4) from s.
func parameterValue(s string) (string, string) {
	if !strings.HasPrefix(s, `"`) {
		return cutToken(s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
