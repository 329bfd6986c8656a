// Package backoff is how long to wait before something that has failed is tried again.
package backoff

import "time"

// Policy doubles the wait with each failure, and draws a part of it by chance, so that those that failed together do
// not try again together.
type Policy struct {
	First time.Duration // after the first failure
	Most  time.Duration
}

// Wait is how long to wait after a number of failures, the first of which is 1: from half of the full wait to all of
// it, by random, which is from 0 to 1.
func (p Policy) Wait(failures int, random float64) time.Duration {
	full := p.full(failures)
	return full/2 + time.Duration(random*float64(full/2))
}

// full is the longest that Wait returns for a number of failures.
func (p Policy) full(failures int) time.Duration {
	full := min(p.First, p.Most)
	for ; failures > 1 && full > 0; failures-- {
		if full > p.Most/2 {
			return p.Most
		}
		full *= 2
	}
	return full
}
