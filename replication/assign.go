package replication

// Member is a live gateway, and the replica that it stands beside; "": none.
type Member struct{ Name, Here string }

// Arbiter chooses one of the members for a key: the same one on all gateways (rendezvous hashing).
type Arbiter func(key string, members []string) string

// Assign lists the replicas that the member self serves. One gateway serves each replica: one that stands beside it if
// there is one, so that a copy crosses the ocean once. Members that do not see each other may serve the same replica;
// then something is copied twice.
func Assign(replicas []string, members []Member, self string, choose Arbiter) (served []string) {
	for _, r := range replicas {
		if Server(r, members, choose) == self {
			served = append(served, r)
		}
	}
	return served
}

// Server is the member that serves one replica.
func Server(replica string, members []Member, choose Arbiter) string {
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
	return choose(replica, all)
}
