package ledger

import (
	"cmp"
	"errors"
	"math"
	"strings"
	"time"
)

// Stamp is a time on the members' common hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014):
// what a member has heard of never comes later than what it writes next, however wrong its own clock is.
type Stamp struct {
	WallMS  int64 // milliseconds since 1970, of the fastest clock heard of
	Logical uint32
	Member  string // whose stamp it is
}

// Compare orders all stamps: by time, then by name.
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.WallMS, t.WallMS), cmp.Compare(s.Logical, t.Logical), cmp.Compare(s.Member, t.Member))
}

// buriedMark makes of a member's name one that no member has, since names are DNS labels, and the next one in their order.
const buriedMark = "!"

// buried is the first stamp after s: of the deletion of a tag that was written then, with its digest.
func (s Stamp) buried() Stamp {
	s.Member += buriedMark
	return s
}

// Gateway is the member that wrote.
func (s Stamp) Gateway() string { return strings.TrimSuffix(s.Member, buriedMark) }

// Buried: it is that of a tag that was deleted with its digest, and not when that was.
func (s Stamp) Buried() bool { return strings.HasSuffix(s.Member, buriedMark) }

// maxAhead is how far ahead of our own clock another's may be: one insane clock must not take all others along.
const maxAhead = 24 * time.Hour

var errAhead = errors.New("stamp is more than 24 h ahead of our clock")

// clock makes one member's stamps. It has no lock of its own.
type clock struct {
	member string
	last   Stamp
}

// now is a stamp later than all that were made or observed.
func (c *clock) now(physical time.Time) Stamp {
	switch ms := physical.UnixMilli(); {
	case ms > c.last.WallMS:
		c.last = Stamp{WallMS: ms}
	case c.last.Logical == math.MaxUint32:
		c.last = Stamp{WallMS: c.last.WallMS + 1}
	default:
		c.last.Logical++
	}
	c.last.Member = c.member
	return c.last
}

// observe takes note of another member's stamp. An error means that it is not to be believed, and changes nothing.
func (c *clock) observe(remote Stamp, physical time.Time) error {
	if remote.WallMS > physical.Add(maxAhead).UnixMilli() {
		return errAhead
	}
	if remote.Compare(c.last) > 0 {
		c.last = remote
	}
	return nil
}
