package admin

import "time"

// Egress is the answer of /egress: what has left replicas through this gateway since it started, in bytes of bodies.
type Egress struct {
	Here        string      `json:"here"` // "" for a gateway that stands in no region
	Since       time.Time   `json:"since"`
	Flows       []Flow      `json:"flows"`
	Pulls       EgressBytes `json:"pulls"` // of all flows to clients
	Total       EgressBytes `json:"total"`
	RemoteShare *float64    `json:"remote_share"` // of the total, from 0 to 1; null where nothing has moved
}

// Flow is what one replica sent on one path.
type Flow struct {
	Replica string `json:"replica"`
	Path    string `json:"path"`
	To      string `json:"to"` // the replica that got it; "" for clients
	EgressBytes
	Nearest int64 `json:"nearest"` // as much of it as went to clients whose nearest the replica was
}

// The paths of flows.
const (
	PathPull = "pull" // to a client
)

// EgressBytes are local where a client got them from the replica beside the gateway, else remote.
type EgressBytes struct {
	Local  int64 `json:"local"`
	Remote int64 `json:"remote"`
}
