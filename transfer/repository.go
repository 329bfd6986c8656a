package transfer

import "net/http"

// Repository is a repository of a replica, as one client may use it. It is a value: to change the transport or a bound
// for one request, change a copy.
type Repository struct {
	Replica Replica
	Name    string
	// Credential has the Authorization that only the replica is shown; nil: the transport shows what it has.
	Credential http.Header
}

// Repository returns a repository of the replica, without a credential of its own.
func (r Replica) Repository(name string) Repository { return Repository{Replica: r, Name: name} }

func (r Repository) peer() *peer { return standard().peer(r) }
