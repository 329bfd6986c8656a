package cluster

import "hash/fnv"

// Arbiter is the member that grants a repository's lease: the one with the highest hash together with it (rendezvous
// hashing, Thaler and Ravishankar 1998). All that see the same members name the same one, in any order, and when a
// member goes only its own repositories move. No members: "".
func Arbiter(repository string, members []string) string {
	var best string
	var most uint64
	for _, m := range members {
		if w := weight(m, repository); best == "" || w > most || w == most && m < best {
			best, most = m, w
		}
	}
	return best
}

// weight hashes with FNV-1a and spreads the result (the finalizer of MurmurHash3): FNV alone leaves the high bits
// of names that differ in their last byte alike, and it is those that decide.
func weight(member, repository string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(member))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(repository))
	return spread(h.Sum64())
}

func spread(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
