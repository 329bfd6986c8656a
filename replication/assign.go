package replication

// Member is a live gateway, and the replica that it stands beside; "" for none.
type Member struct{ Name, Here string }

// First chooses one of the members for a key: the same one wherever it is asked (rendezvous hashing).
type Arbiter func(key string, members []string) string

// Assign is which of the replicas the member self serves. Each is served by one gateway: one that stands beside it where
// there is one, since what is copied then crosses the ocean once. Members that do not see each other may serve the same
// replica; then something is copied twice.
func Assign(replicas []string, members []Member, self string, first Arbiter) (mine []string) {
	for _, r := range replicas {
		if Server(r, members, first) == self {
			mine = append(mine, r)
		}
	}
	return mine
}

// Server is who serves one replica.
func Server(replica string, members []Member, first Arbiter) string {
	var beside, all []string
	for _, m := range members {
		all = append(all, m.Name)
		if m.Here == replica {
			beside = append(beside, m.Name)
		}
	}
	if len(beside) > 0 {
		all = beside
	}
	return first(replica, all)
}
