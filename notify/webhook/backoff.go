package webhook

import (
	"time"

	"github.com/fairlead-gateway/fairlead/backoff"
)

// A delivery is tried for most of a day: 34 waits, which come to 18 h on average and to 24 h at most.
const (
	maxAttempts = 35
	firstWait   = 2 * time.Second
	maxWait     = time.Hour
)

// waitAfter is how long to wait after so many failed attempts, and whether to try again at all. random is from [0, 1):
// the last half of each wait is drawn, so that receivers that were down together are not asked together.
func waitAfter(failed int, random float64) (wait time.Duration, again bool) {
	if failed >= maxAttempts {
		return 0, false
	}
	return backoff.Policy{First: firstWait, Most: maxWait}.Wait(failed, random), true
}
