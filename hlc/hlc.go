// Package hlc is the hybrid logical clock that gateways have in common (Kulkarni et al., "Logical Physical Clocks",
// 2014): what a member has heard of never comes later than what it says next, however wrong its own clock is.
package hlc

import (
	"cmp"
	"errors"
	"math"
	"time"
)

// Stamp is a time on that clock.
type Stamp struct {
	WallMS  int64 // milliseconds since 1970, of the fastest clock heard of
	Logical uint32
	Member  string // whose stamp it is: no two members make the same one
}

// Compare orders all stamps: by time, then by name.
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.WallMS, t.WallMS), cmp.Compare(s.Logical, t.Logical), cmp.Compare(s.Member, t.Member))
}

// MaxAhead is how far ahead of our own clock another's may be. A member that believes a foreign stamp stamps
// everything later than that from then on, so that one insane clock would take all others along.
const MaxAhead = 24 * time.Hour

// ErrAhead is for a stamp that is further ahead.
var ErrAhead = errors.New("stamp is more than 24 h ahead of our clock")

// Clock makes one member's stamps. It has no lock of its own.
type Clock struct {
	Member string
	Last   Stamp // that was made or observed
}

// Now is a stamp later than all that were made or observed.
func (c *Clock) Now(physical time.Time) Stamp {
	switch ms := physical.UnixMilli(); {
	case ms > c.Last.WallMS:
		c.Last = Stamp{WallMS: ms}
	case c.Last.Logical == math.MaxUint32:
		c.Last = Stamp{WallMS: c.Last.WallMS + 1}
	default:
		c.Last.Logical++
	}
	c.Last.Member = c.Member
	return c.Last
}

// Observe takes note of another member's stamp. ErrAhead means that it is not to be believed, and changes nothing.
func (c *Clock) Observe(remote Stamp, physical time.Time) error {
	if remote.WallMS > physical.Add(MaxAhead).UnixMilli() {
		return ErrAhead
	}
	if remote.Compare(c.Last) > 0 {
		c.Last = remote
	}
	return nil
}
