package router

import "time"

// Lease is the grant of one repository's writes to one owner.
type Lease struct {
	Owner   string
	Granted time.Time
	Last    time.Time // the last accepted write
	Open    int       // requests belonging to writing that are under way
}

// Where nothing new starts, a push has so long: a client is back within DrainIdle, and who pushes for ever must not keep
// a replica from ending.
const (
	DrainIdle = time.Minute
	DrainMost = 15 * time.Minute
)

// Drains are since when replicas drain, or leave. It never changes.
type Drains map[string]time.Time

// Over reports whether a replica drains for so long that no push has time left there.
func (d Drains) Over(replica string, now time.Time) bool {
	since, drains := d[replica]
	return drains && now.Sub(since) >= DrainMost
}

// Live reports whether the lease still holds: until no request is open and idle has been quiet. docker
// 20 alone backs off 20 s between two tries, so idle is minutes. Where its owner drains, DrainIdle is enough, and
// DrainMost is all that there is.
func (l Lease) Live(now time.Time, idle time.Duration, drains Drains) bool {
	if _, drained := drains[l.Owner]; drained {
		idle = min(idle, DrainIdle)
	}
	return l.Owner != "" && !drains.Over(l.Owner, now) && (l.Open > 0 || now.Sub(l.Last) < idle)
}

// Accept is the lease after a replica accepted a write: the first accepted write makes its replica
// the owner, later ones keep the lease alive and change nothing else, wherever they went. What ends at a replica that
// drains makes that one nobody's owner.
func (l Lease) Accept(replica string, now time.Time, idle time.Duration, drains Drains) Lease {
	if !l.Live(now, idle, drains) {
		if _, drained := drains[replica]; drained {
			return l
		}
		l.Owner, l.Granted = replica, now
	}
	l.Last = now
	return l
}

// Accepted reports whether a replica's answer to a write means that it took it. What was refused must
// not let a stranger steer a repository.
func Accepted(status int) bool { return status >= 200 && status < 300 }
