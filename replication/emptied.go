package replication

// severalLost is how many names a replica has to have lost before one that was not away counts as another registry.
const severalLost = 3

// Emptied reports whether a replica is taken to have lost what it was confirmed to have: of some names that it had, it
// has at most half. After it was away one such name is enough: a registry may have been restored, or made anew. Else it
// takes several, since single names go by other ways.
func Emptied(has, lost int, wasAway bool) bool {
	least := severalLost
	if wasAway {
		least = 1
	}
	return lost >= least && lost >= has
}
