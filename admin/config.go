package admin

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Values of Loaded.Result.
const (
	LoadedOK        = "ok"        // what changed is in force, or says that it needs a restart
	LoadedUnchanged = "unchanged" // the file says what is in force
	LoadedRefused   = "refused"   // the last good one goes on
)

// InForce is the answer of /config: what a gateway goes by.
type InForce struct {
	Since  time.Time     `json:"since"`
	Last   Loaded        `json:"last"`
	Values []ConfigValue `json:"values"`
}

// ConfigValue is one key. What may be a secret is not shown.
type ConfigValue struct {
	Field string `json:"field"` // such as replicas[westus].bias
	Value string `json:"value"`
	From  string `json:"from"` // FILE:LINE, or in words
}

// Loaded is what came of a reading of the file, and the answer of a POST to /config/reload.
type Loaded struct {
	File     string          `json:"file"`
	At       time.Time       `json:"at"`
	Result   string          `json:"result"` // one of the Loaded words
	Changes  []ConfigChange  `json:"changes"`
	Problems []ConfigProblem `json:"problems"`
}

// ConfigChange is a key whose value has changed, or something that came or went.
type ConfigChange struct {
	Field   string `json:"field"`
	Old     string `json:"old"`
	New     string `json:"new"`
	Restart bool   `json:"restart"` // it counts from the next start on
}

// ConfigProblem is why a file is refused.
type ConfigProblem struct {
	File  string `json:"file"`
	Line  int    `json:"line"` // 0: it is about all of the file
	Field string `json:"field"`
	Value string `json:"value"`
	Rule  string `json:"rule"`
}

// Place is FILE:LINE: field, as far as they are known.
func (p ConfigProblem) Place() string {
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return cmp.Or(strings.Trim(at+": "+p.Field, ": "), "the file")
}

// ConfigGiven is a value of a file that somebody compares with what is in force. Unlike ConfigValue it has the whole of
// it: two secrets differ, too.
type ConfigGiven struct {
	Field string `json:"field"`
	Group string `json:"group"`
	Text  string `json:"text"`
	From  string `json:"from"`
}

// maxCompared is more than a file of the largest size comes to, in bytes.
const maxCompared = 16 << 20

// Configs is what can be asked of the file.
type Configs struct {
	InForce func() InForce
	Reload  func() (Loaded, error)
	Compare func([]ConfigGiven) []ConfigChange
}

func configRoutes(mux *http.ServeMux, of Configs, log *slog.Logger) {
	handle := guarded(mux, log)
	handle("/config", map[string]action{
		http.MethodGet: func(http.ResponseWriter, *http.Request) (int, any, error) {
			return http.StatusOK, of.InForce(), nil
		},
	})
	handle("/config/reload", map[string]action{
		http.MethodPost: func(http.ResponseWriter, *http.Request) (int, any, error) {
			out, err := of.Reload()
			return http.StatusOK, out, err
		},
	})
	handle("/config/compare", map[string]action{
		http.MethodPost: func(w http.ResponseWriter, r *http.Request) (int, any, error) {
			var with []ConfigGiven
			if err := decoderOf(w, r, maxCompared)(&with); err != nil {
				return 0, nil, err
			}
			return http.StatusOK, of.Compare(with), nil
		},
	})
}
