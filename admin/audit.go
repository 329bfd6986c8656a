package admin

import (
	"log/slog"
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

// Difference is one way in which a replica differs from the ledger.
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

// auditRoutes adds /audit: GET shows the last audit, POST begins one. An error of begin that is a Problem is the
// caller's fault.
func auditRoutes(mux *http.ServeMux, last func() Audit, begin func(AuditRequest) (Audit, error), log *slog.Logger) {
	guarded(mux, log)("/audit", map[string]action{
		http.MethodGet: func(http.ResponseWriter, *http.Request) (int, any, error) {
			return http.StatusOK, last(),
				nil
		},
		http.MethodPost: func(w http.ResponseWriter, r *http.Request) (int, any, error) {
			var q AuditRequest
			if err := decoder(w, r)(&q); err != nil {
				return 0, nil, err
			}
			out, err := begin(q)
			return http.StatusAccepted, out, err
		},
	})
}
