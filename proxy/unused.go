package proxy

import (
	"net/http"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// unused are connections without a request under way, by since when.
type unused struct {
	idle  *simplelru.LRU[*boundConn, time.Time] // between requests
	fresh *simplelru.LRU[*boundConn, time.Time] // before the first one
}

// newUnused is for at most so many.
func newUnused(most int) unused {
	return unused{newLRU[*boundConn, time.Time](most), newLRU[*boundConn, time.Time](most)}
}

// note is what the server says of a connection.
func (u unused) note(c *boundConn, s http.ConnState, now time.Time) {
	u.idle.Remove(c)
	u.fresh.Remove(c)
	switch s {
	case http.StateNew:
		u.fresh.Add(c, now)
	case http.StateIdle:
		u.idle.Add(c, now)
	case http.StateActive, http.StateHijacked, http.StateClosed:
	}
}

// longest takes out the connection that has been without a request for longest; nil: none has for long enough, which is
// young before the first request, and a quarter of it after one. Over HTTP/2 one counts as idle before its first
// request comes, and before the end of its last answer has left.
func (u unused) longest(now time.Time, young time.Duration) *boundConn {
	idle, left, found := u.idle.GetOldest()
	found = found && now.Sub(left) >= young/4
	if silent, since, ok := u.fresh.GetOldest(); ok && now.Sub(since) >= young && (!found || since.Before(left)) {
		u.fresh.Remove(silent)
		return silent
	}
	if !found {
		return nil
	}
	u.idle.Remove(idle)
	return idle
}
