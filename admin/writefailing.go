package admin

import "time"

// WriteFailing is why new pushes do not go to a replica that is up: its uploads fail.
type WriteFailing struct {
	Since      time.Time `json:"since"`
	Status     int       `json:"status"`     // that decided
	Repository string    `json:"repository"` // in which it did
	NextTry    time.Time `json:"next_try"`   // from when on a push is let through; where it is probed, none is
	Probed     bool      `json:"probed"`     // the gateway's own uploads find out when it takes pushes again
}
