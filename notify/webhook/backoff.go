package webhook

import "time"

// A delivery is tried for most of a day: 34 waits, which come to 18 h on average and to 24 h at most.
const (
	maxAttempts = 35
	firstWait   = 2 * time.Second
	maxWait     = time.Hour
)

// backoff is how long to wait after so many failed attempts, and whether to try again at all. random is from [0, 1):
// the last half of each wait is drawn, so that receivers that were down together are not asked together.
func backoff(failed int, random float64) (wait time.Duration, again bool) {
	if failed >= maxAttempts {
		return 0, false
	}
	wait = firstWait
	for range failed - 1 {
		wait = min(2*wait, maxWait)
	}
	return wait/2 + time.Duration(random*float64(wait/2)), true
}
