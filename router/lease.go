package router

import "time"

// Lease is the grant of one repository's writes to one owner.
type Lease struct {
	Owner   string
	Granted time.Time
	Last    time.Time // the last accepted write
	Open    int       // requests belonging to writing that are under way
}

// Live reports whether the lease still holds: until no request is open and idle has been quiet. docker
// 20 alone backs off 20 s between two tries, so idle is minutes.
func (l Lease) Live(now time.Time, idle time.Duration) bool {
	return l.Owner != "" && (l.Open > 0 || now.Sub(l.Last) < idle)
}

// Accept is the lease after a replica accepted a write: the first accepted write makes its replica
// the owner, later ones keep the lease alive and change nothing else, wherever they went.
func (l Lease) Accept(replica string, now time.Time, idle time.Duration) Lease {
	if !l.Live(now, idle) {
		l.Owner, l.Granted = replica, now
	}
	l.Last = now
	return l
}

// Accepted reports whether a replica's answer to a write means that it took it. What was refused must
// not let a stranger steer a repository.
func Accepted(status int) bool { return status >= 200 && status < 300 }
