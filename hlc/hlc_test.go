package hlc

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Unix(1_700_000_000, 0)

func drawStamp(t *rapid.T) Stamp {
	return Stamp{rapid.Int64Range(0, 3).Draw(t, "wall"), rapid.Uint32Range(0, 1).Draw(t, "logical"),
		rapid.SampledFrom([]string{"a", "b"}).Draw(t, "member")}
}

func TestStampOrderIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawStamp(t), drawStamp(t), drawStamp(t)
		if a.Compare(b) != -b.Compare(a) || (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%v %v", a, b)
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Fatalf("%v %v %v", a, b, c)
		}
	})
}

// Whatever clocks show, and however they jump, what was heard comes before what is said next.
func TestClockFollowsWhatItHeard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clocks := []*Clock{{Member: "a"}, {Member: "b"}, {Member: "c"}}
		var last Stamp
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			c := rapid.SampledFrom(clocks).Draw(t, "member")
			at := epoch.Add(time.Duration(rapid.IntRange(-12, 12).Draw(t, "hours")) * time.Hour)
			if err := c.Observe(last, at); err != nil {
				t.Fatal(err)
			}
			now := c.Now(at)
			if now.Compare(last) <= 0 || now.Member != c.Member {
				t.Fatalf("%v after %v", now, last)
			}
			last = now
		}
	})
}

func TestClockBounds(t *testing.T) {
	c := Clock{Member: "a"}
	if err := c.Observe(Stamp{WallMS: epoch.Add(MaxAhead).UnixMilli(), Logical: math.MaxUint32, Member: "b"},
		epoch); err != nil {
		t.Fatalf("24 h ahead: %v", err)
	}
	if got := c.Now(epoch); got != (Stamp{epoch.Add(MaxAhead).UnixMilli() + 1, 0, "a"}) {
		t.Errorf("after the last logical tick: %v", got)
	}
	before := c
	if c.Observe(Stamp{WallMS: epoch.Add(MaxAhead).UnixMilli() + 1, Member: "b"}, epoch) == nil ||
		c.Last != before.Last {
		t.Error("a stamp further ahead was believed")
	}
	if c.Observe(Stamp{WallMS: math.MaxInt64}, epoch) == nil {
		t.Error("the last stamp there is was believed")
	}
}
