package router

import (
	"net/netip"
	"time"
)

// Wrote is one write at a replica, and how it ended.
type Wrote struct {
	Repository string
	Client     netip.Prefix // who wrote; the zero Prefix for the gateway's own probe
	Status     int
	Stores     bool // it brought content; else it only began an upload, which takes next to no room
}

// WriteResult is what an answer to a write says of whether its replica can write. The set is closed.
type WriteResult string

const (
	WriteAccepted WriteResult = "accepted"
	WriteFailed   WriteResult = "failed"
	WriteFull     WriteResult = "full"    // it has no room, whoever asks
	WriteRefused  WriteResult = "refused" // it has said no to this one, and nothing of others
)

// Result is what the write's status means: a registry says 500 of a disk that is full, or 507, and 503 of a storage that
// it cannot reach. 501 is for what it never does.
func (w Wrote) Result() WriteResult {
	switch {
	case Accepted(w.Status):
		return WriteAccepted
	case w.Status == 507:
		return WriteFull
	case w.Status >= 500 && w.Status != 501:
		return WriteFailed
	}
	return WriteRefused
}

// Fails reports whether the replica could not write.
func (w Wrote) Fails() bool { return w.Result() == WriteFailed || w.Result() == WriteFull }

// When a replica whose uploads fail is tried again, and how long one failure is remembered until another one agrees.
const (
	firstTry = 15 * time.Second
	mostTry  = 2 * time.Minute

	suspicion = 5 * time.Minute
)

// Writability is what the writes at one replica so far amount to. The zero value takes writes: fail open.
type Writability struct {
	Since   time.Time // when its uploads began to fail; zero: they do not
	Why     Wrote     // what decided
	NextTry time.Time // from when on one push is let through

	tries     int
	stores    bool  // what failed brought content: that an upload begins is no success then
	suspect   Wrote // the last failure that another one is to agree with
	suspected time.Time
}

// Failing reports whether no push should begin there.
func (w Writability) Failing() bool { return !w.Since.IsZero() }

// Step adds one write. Some registries answer 500 to what is wrong with one repository, or with one client's upload. So
// it takes two failures that differ in repository or in client, with no success between them. One is enough for 507, or
// where another replica of the same storage fails as well (hinted). What is accepted ends it at once.
func (w Writability) Step(got Wrote, hinted bool, now time.Time) Writability {
	result := got.Result()
	switch {
	case result == WriteRefused:
		return w
	case result == WriteAccepted && got.Stores:
		return Writability{}
	case result == WriteAccepted:
		return w.began()
	case w.Failing():
		w.stores = w.stores || got.Stores
		return w
	case result == WriteFull || hinted || w.agrees(got, now):
		return Writability{
			Since: now, Why: got, NextTry: now.Add(firstTry), stores: got.Stores || w.suspect.Stores,
		}
	}
	w.suspect, w.suspected = got, now
	return w
}

// began takes in an upload that was only begun.
func (w Writability) began() Writability {
	if w.stores || w.suspect.Stores {
		return w
	}
	return Writability{}
}

// agrees reports whether a failure and the one before are of two repositories or two clients. The gateway's own probes
// bring nothing that could be wrong with them: two in a row are enough.
func (w Writability) agrees(got Wrote, now time.Time) bool {
	if w.suspect.Status == 0 || now.Sub(w.suspected) >= suspicion {
		return false
	}
	probed := !got.Client.IsValid() && !w.suspect.Client.IsValid()
	return probed || got.Repository != w.suspect.Repository || got.Client != w.suspect.Client
}

// Due reports whether a replica whose uploads fail may be tried again.
func (w Writability) Due(now time.Time) bool { return w.Failing() && !now.Before(w.NextTry) }

// Try is the state once a push is let through: the next one may be after twice the time, unless this one is accepted.
func (w Writability) Try(now time.Time) Writability {
	w.tries++
	pause := mostTry
	if w.tries < 8 {
		pause = min(firstTry<<w.tries, mostTry)
	}
	w.NextTry = now.Add(pause)
	return w
}
