package proxy

import (
	"sync"
	"time"
)

const (
	// hashBurst is how much hashing may be saved up, in CPU time: some GiB with SHA-256 instructions, one without.
	hashBurst = 4 * time.Second
	// slowHash is what hashing a byte takes, in ns, until it was measured: without instructions for it.
	slowHash = 3.0
	// leastMeasured is from how many bytes on the time that hashing took says how fast it is.
	leastMeasured = 1 << 20
)

// hashBudget is a token bucket of CPU time. What is taken for a blob is an estimate, which is settled when it is known
// what its hash has taken.
type hashBudget struct {
	mu      sync.Mutex
	share   float64       // of one core, 0 to 1. Guarded by mu, as all below.
	left    time.Duration // Below zero after what may be taken at any time.
	at      time.Time     // when it was counted
	perByte float64       // ns, as lately measured
}

func newHashBudget(share float64, now time.Time) *hashBudget {
	return &hashBudget{share: share, left: hashBurst, at: now, perByte: slowHash}
}

// setShare counts until now by the share that there was.
func (b *hashBudget) setShare(share float64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now)
	b.share = share
}

func (b *hashBudget) isOn() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.share > 0
}

// count needs mu.
func (b *hashBudget) count(now time.Time) {
	b.left = min(b.left+time.Duration(float64(now.Sub(b.at))*b.share), hashBurst)
	b.at = now
}

// take takes what hashing so many bytes will cost, if there is as much, or forced is set. What costs more than there
// can ever be may be taken when there is all.
func (b *hashBudget) take(bytes int64, forced bool, now time.Time) (taken time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now)
	cost := time.Duration(float64(bytes) * b.perByte)
	if !forced && b.left < min(cost, hashBurst) {
		return 0, false
	}
	b.left -= cost
	return cost, true
}

// settle puts what hashing so many bytes has taken in the place of what was taken for it.
func (b *hashBudget) settle(taken, spent time.Duration, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += taken - spent
	if bytes >= leastMeasured {
		b.perByte = (b.perByte + float64(spent)/float64(bytes)) / 2
	}
}
