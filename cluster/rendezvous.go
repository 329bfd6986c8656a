package cluster

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Ranked is the members in the order in which they grant a repository's lease: the first is its arbiter, the second the
// deputy. It is the order of their hashes together with it (rendezvous hashing, Thaler and Ravishankar 1998): all that
// see the same members name the same ones, and when a member goes only its own repositories move.
func Ranked(repository string, members []string) []string {
	return slices.SortedFunc(slices.Values(members), func(a, b string) int {
		return cmp.Or(cmp.Compare(weight(b, repository), weight(a, repository)), cmp.Compare(a, b))
	})
}

// Arbiter is the first of Ranked, "" without members.
func Arbiter(repository string, members []string) string {
	if len(members) == 0 {
		return ""
	}
	return Ranked(repository, members)[0]
}

// weight hashes with FNV-1a and spreads the result (the finalizer of MurmurHash3): FNV alone leaves the high bits
// of names that differ in their last byte alike, and it is those that decide.
func weight(member, repository string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(member))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(repository))
	return scramble(h.Sum64())
}

func scramble(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
