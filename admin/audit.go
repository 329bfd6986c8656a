package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// AuditRequest is what is posted to /audit.
type AuditRequest struct {
	Replicas []string `json:"replicas"` // none: all
	Deep     bool     `json:"deep"`
	Repair   bool     `json:"repair"`
}

// Audit is the answer of /audit: the last audit that somebody asked for; its ID is 0 if there was none.
type Audit struct {
	ID      int64     `json:"id"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"` // absent while it goes on
	AuditRequest
	Repositories int            `json:"repositories"`
	Done         int            `json:"done"`
	Total        int            `json:"total"`       // differences
	Remaining    int            `json:"remaining"`   // of them those that were not repaired
	Differences  []Difference   `json:"differences"` // 10,000 at most
	Problems     []AuditProblem `json:"problems"`    // 1,000 at most
	Unsure       int            `json:"unsure"`      // of the problems those that leave something unknown
}

// Difference is one way in which a replica differs from the record of pushes and deletions.
type Difference struct {
	Replica    string   `json:"replica"`
	Repository string   `json:"repository"`
	Name       string   `json:"name"` // a tag or a digest
	Reason     string   `json:"reason"`
	Has        string   `json:"has,omitempty"`
	Want       string   `json:"want,omitempty"`
	Lacks      []string `json:"lacks,omitempty"`
	Pending    bool     `json:"pending"`
	Outcome    string   `json:"outcome,omitempty"`
	Problem    string   `json:"problem,omitempty"`
}

// AuditProblem is what an audit could not find out.
type AuditProblem struct {
	Replica    string `json:"replica,omitempty"`
	Repository string `json:"repository,omitempty"`
	Text       string `json:"text"`
}

var (
	// ErrBusy is for what cannot be begun while the one before goes on.
	ErrBusy = errors.New("one is under way")
	// ErrRequest is for what names something that is not there.
	ErrRequest = errors.New("no such replica, or it is offline")
)

const maxRequest = 64 << 10

// startAudit takes JSON and nothing else: no page of somebody else's can make a browser send that.
func startAudit(w http.ResponseWriter, r *http.Request, start func(AuditRequest) (Audit, error)) {
	if r.Header.Get("Content-Type") != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "application/json is what is read here", "")
		return
	}
	var q AuditRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		problem(w, http.StatusBadRequest, "the request cannot be read", err.Error())
		return
	}
	audit, err := start(q)
	switch {
	case errors.Is(err, ErrBusy):
		problem(w, http.StatusConflict, "an audit is under way", "GET /audit shows how far it has come")
	case err != nil:
		problem(w, http.StatusBadRequest, "the audit cannot be begun", err.Error())
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(audit) // fails only when the client is gone
	}
}
