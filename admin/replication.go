package admin

import (
	"net/http"
	"time"
)

// Replication is the answer of /replication.
type Replication struct {
	Replicas  []Progress `json:"replicas"`
	Conflicts uint64     `json:"conflicts"` // that there have been
}

// Progress is how far a replica is behind.
type Progress struct {
	Replica string  `json:"replica"`
	State   string  `json:"state"`     // Provisioning, Syncing, Ready or StateLeaving
	Served  string  `json:"served_by"` // the gateway that copies to it; "": none
	Entries int     `json:"entries"`   // tags, manifests and deletions that it has not confirmed
	Detail  *Detail `json:"detail"`    // null: only the gateway that serves it knows

	WaitsFor     string        `json:"waits_for,omitempty"` // of one that leaves
	WriteFailing *WriteFailing `json:"write_failing"`       // null: it takes uploads, as far as this gateway knows
}

// StateLeaving is of a replica that the file has no more.
const StateLeaving = "Leaving"

// Detail is known to the gateway that does it.
type Detail struct {
	Running int     `json:"running"`  // images and deletions under way
	Waiting int     `json:"waiting"`  // that have failed and are tried again
	GivenUp int     `json:"given_up"` // that were given up, until somebody says `fairlead replication retry`
	Bytes   int64   `json:"bytes"`    // an estimate of what is to be moved yet
	Rate    float64 `json:"rate"`     // bytes a second, the mean of the last minute
	Left    float64 `json:"left_seconds"`
}

// Failure is an image or a deletion that has failed.
type Failure struct {
	Replica    string    `json:"replica"`
	Action     string    `json:"action"` // copy or delete
	Repository string    `json:"repository"`
	Digest     string    `json:"digest"`
	Tags       []string  `json:"tags"`
	Tries      int       `json:"tries"`
	Next       time.Time `json:"next,omitzero"` // zero: it is not tried again by itself
	GivenUp    bool      `json:"given_up"`
	Reason     string    `json:"reason"`
}

// Retried is the answer of a POST to /replication/retry?replica=NAME&repository=NAME&reference=TAG or DIGEST, all of
// which may be left out.
type Retried struct {
	Count int `json:"count"`
}

// Conflicts is the answer of /replication/conflicts: the last of them, the oldest first.
type Conflicts struct {
	Total     uint64     `json:"total"`
	Conflicts []Conflict `json:"conflicts"`
}

// Conflict is a tag that was written on two sides that did not know of each other. The later write won.
type Conflict struct {
	Repository string    `json:"repository"`
	Tag        string    `json:"tag"`
	Found      time.Time `json:"found"`
	Winner     Side      `json:"winner"`
	Loser      Side      `json:"loser"`
}

// Side is one of the writes of a conflict.
type Side struct {
	Digest  string    `json:"digest"`
	Deleted bool      `json:"deleted"`
	Replica string    `json:"replica"`          // that accepted it
	Gateway string    `json:"gateway"`          // that recorded it
	Written time.Time `json:"written,omitzero"` // zero: it was found there by an audit
}

func (c Config) retry(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	writeJSON(w, Retried{c.Retry(query.Get("replica"), query.Get("repository"), query.Get("reference"))})
}

func (c Config) conflicts(w http.ResponseWriter, _ *http.Request) {
	list, err := c.Conflicts()
	if err != nil {
		writeProblem(w, Problem{http.StatusServiceUnavailable, "the ledger cannot be read: " + err.Error()})
		return
	}
	writeJSON(w, list)
}
