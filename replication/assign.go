package replication

import (
	"hash/fnv"
	"slices"
)

// Member is a live gateway, and the replica that it stands beside; "" for none.
type Member struct{ Name, Here string }

// Assign is which of the replicas the member self serves. Each is served by one gateway: one that stands beside it where
// there is one, since what is copied then crosses the ocean once. Of several the choice is the same wherever it is made
// (rendezvous hashing). Members that do not see each other may serve the same replica; then something is copied twice.
func Assign(replicas []string, members []Member, self string) (mine []string) {
	for _, r := range replicas {
		if Server(r, members) == self {
			mine = append(mine, r)
		}
	}
	return mine
}

// Server is who serves one replica.
func Server(replica string, members []Member) (name string) {
	beside := slices.ContainsFunc(members, func(m Member) bool { return m.Here == replica })
	var most uint64
	for _, m := range members {
		if beside && m.Here != replica {
			continue
		}
		if w := weight(m.Name, replica); name == "" || w > most || w == most && m.Name < name {
			name, most = m.Name, w
		}
	}
	return name
}

func weight(member, replica string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(member + "\x00" + replica))
	return h.Sum64()
}
