package proxy

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// How long a replica that answers 429 is asked after others, as it says itself within these bounds.
const (
	leastThrottled   = time.Second
	unsaidThrottled  = 5 * time.Second // where it does not say
	mostThrottled    = 5 * time.Minute
	throttledClients = 3 // so many of them at once mean that it has too much of all
	tellThrottled    = time.Minute
)

// throttled remembers which replicas want to be asked less (429). Most limits are for each client, so one of them says
// nothing of the others; several that are to wait at once do.
type throttled struct {
	last atomic.Int64 // when the last of all waits ends, in nanoseconds since 1970: most requests need not look further

	mu   sync.Mutex
	of   *simplelru.LRU[placeKey, time.Time] // until when. Guarded by mu, as all below.
	ends map[string][]throttledEnd           // by replica: the last ones, of throttledClients clients, latest first
	told map[string]time.Time                // by replica, when it was said last that all are to wait
}

type throttledEnd struct {
	client netip.Prefix
	at     time.Time
}

// newThrottled has room for so many clients of a replica.
func newThrottled(most int) *throttled {
	return &throttled{
		of:   newLRU[placeKey, time.Time](most),
		ends: map[string][]throttledEnd{}, told: map[string]time.Time{},
	}
}

// note takes in a 429. It reports, once in a while for each replica, that all clients are to wait.
func (t *throttled) note(replica string, client netip.Prefix, wait time.Duration, now time.Time) (tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	until := now.Add(wait)
	t.of.Add(placeKey{replica, client}, until)
	ends := slices.DeleteFunc(t.ends[replica], func(e throttledEnd) bool { return e.client == client })
	ends = append(ends, throttledEnd{client, until})
	slices.SortFunc(ends, func(a, b throttledEnd) int { return b.at.Compare(a.at) })
	t.ends[replica] = ends[:min(len(ends), throttledClients)]
	t.last.Store(max(t.last.Load(), until.UnixNano()))
	if t.isForAll(replica, now) && now.Sub(t.told[replica]) >= tellThrottled {
		t.told[replica] = now
		return true
	}
	return false
}

// names are the replicas that a client should not be the next to ask.
func (t *throttled) names(client netip.Prefix, now time.Time) (names []string) {
	if now.UnixNano() >= t.last.Load() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for replica := range t.ends {
		until, _ := t.of.Peek(placeKey{replica, client})
		if now.Before(until) || t.isForAll(replica, now) {
			names = append(names, replica)
		}
	}
	return names
}

func (t *throttled) forget(lost map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.of.Keys() {
		if lost[k.replica] {
			t.of.Remove(k)
		}
	}
	forgetKeys(t.ends, lost)
	forgetKeys(t.told, lost)
}

// isForAll needs mu.
func (t *throttled) isForAll(replica string, now time.Time) bool {
	ends := t.ends[replica]
	return len(ends) == throttledClients && now.Before(ends[throttledClients-1].at)
}

// retryAfterOf is how long an answer says that its client should wait (RFC 9110, 10.2.3): seconds, or a date, which is
// of the clock that the answer's own Date is of; false if it does not say.
func retryAfterOf(h http.Header, now time.Time) (wait time.Duration, said bool) {
	value := h.Get("Retry-After")
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(mostThrottled/time.Second))) * time.Second, true //nolint:gosec // bounded
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), mostThrottled), true
}

// noteThrottled takes in an answer of a replica, whatever it was asked.
func (x *exchange) noteThrottled(replica string, response *http.Response) {
	if response.StatusCode != http.StatusTooManyRequests {
		return
	}
	p, now := x.proxy, time.Now()
	wait, said := retryAfterOf(response.Header, now)
	if !said {
		wait = unsaidThrottled
	}
	wait = max(wait, leastThrottled)
	p.metrics.throttled.inc(replica)
	if p.throttled.note(replica, clientPrefix(x.client), wait, now) {
		p.Log.Info("a replica has answered several clients with 429: all clients read elsewhere for now",
			"replica", replica, "wait", wait)
	}
}
