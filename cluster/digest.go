package cluster

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

// buckets divides repositories for comparison: members whose tables differ tell each other only the part that does.
// Eight bytes for each of 64 fit a packet.
const buckets = 64

type digest [buckets]uint64

func bucket(repository string) int { return int(weight("", repository) % buckets) }

// sum leaves out Last: it differs by the time that news are under way.
func sum(g Grant) uint64 {
	h := fnv.New64a()
	var fixed [13]byte
	binary.BigEndian.PutUint64(fixed[:], uint64(g.Stamp.WallMS))
	binary.BigEndian.PutUint32(fixed[8:], g.Stamp.Logical)
	if g.Revoked {
		fixed[12] = 1
	}
	_, _ = h.Write(fixed[:])
	for _, s := range []string{g.Stamp.Member, g.Owner, g.Repository} {
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte{0})
	}
	return scramble(h.Sum64())
}

// add takes a grant in, unless it is older than life: then it is about to be collected, here sooner and there later.
func (d *digest) add(g Grant, now time.Time, life time.Duration) {
	if now.Sub(g.Last) < life {
		d[bucket(g.Repository)] ^= sum(g)
	}
}

// differing marks the buckets in which two digests differ, a bit for each.
func (d digest) differing(other digest) (mask uint64) {
	for i := range d {
		if d[i] != other[i] {
			mask |= 1 << i
		}
	}
	return mask
}

func (d digest) bytes() []byte {
	b := make([]byte, 0, 8*buckets)
	for _, v := range d {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// parseDigest takes nothing but a digest of our own size: one of another size is a later version's, and says nothing.
func parseDigest(b []byte) (d digest, ok bool) {
	if len(b) != 8*buckets {
		return d, false
	}
	for i := range d {
		d[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return d, true
}

// inBuckets is what lies in the marked buckets.
func inBuckets(grants []Grant, mask uint64) []Grant {
	var out []Grant
	for _, g := range grants {
		if mask>>bucket(g.Repository)&1 == 1 {
			out = append(out, g)
		}
	}
	return out
}
