package transfer

import "net/http"

// Repository is a repository of a replica, as one client may use it. It is a value: whoever needs another transport or
// bound for one question changes a copy.
type Repository struct {
	Replica Replica
	Name    string
	// Credential has the Authorization that the replica is shown, and nobody else; nil: whatever its transport shows.
	Credential http.Header
}

// Repository is one of the replica's, asked with what the transport shows.
func (r Replica) Repository(name string) Repository { return Repository{Replica: r, Name: name} }

func (r Repository) peer() *peer { return standard().peer(r) }
