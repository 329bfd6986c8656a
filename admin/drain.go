package admin

import (
	"net/http"
	"time"
)

// Drain is the answer of /drain, and of a POST or DELETE there: whether this gateway has DNS send nobody to it. It
// goes on to serve whoever comes, until it is stopped.
type Drain struct {
	Draining bool      `json:"draining"`
	Since    time.Time `json:"since,omitzero"`
	// Forgotten is when no resolver has what DNS said before
	Forgotten time.Time `json:"forgotten,omitzero"`
	Fronts    []string  `json:"fronts"` // its addresses; none: it cannot know which are its own, and probes alone tell
	Shared    bool      `json:"shared"` // another gateway is behind the same address, which DNS goes on to name
}

func (c Config) drainRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /drain", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Drained()) })
	change := func(on bool) http.Handler {
		return ownPages().Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := c.Drain(on); err != nil {
				writeProblem(w, Problem{http.StatusConflict, err.Error()})
				return
			}
			writeJSON(w, c.Drained())
		}))
	}
	mux.Handle("POST /drain", change(true))
	mux.Handle("DELETE /drain", change(false))
}
