package admin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestConfigRoutes(t *testing.T) {
	mux := http.NewServeMux()
	configRoutes(mux, Configs{
		Reload: func() (Loaded, error) { return Loaded{}, Problem{http.StatusConflict, "no file"} },
		Compare: func(with []ConfigGiven) []ConfigChange {
			return []ConfigChange{{Field: with[0].Field, New: with[0].Text}}
		},
	}, slog.New(slog.DiscardHandler))
	for _, tt := range []struct {
		path, body, site string
		status           int
		contains         string
	}{
		{"/config/reload", "", "", 409, "no file"},
		{"/config/reload", "", "cross-site", 403, "another origin"},
		{"/config/compare", `[{"field": "dns.ttl", "text": "1m"}]`, "", 200, `"new": "1m"`},
		{"/config/compare", `[{"field": "dns.ttl"}]`, "cross-site", 403, "another origin"},
		{"/config/compare", `[{"wrong": ""}]`, "", 400, "cannot be read"},
		{"/config/compare", `["` + strings.Repeat("x", maxCompared) + `"]`, "", 413, "16777216 bytes"},
	} {
		r := httptest.NewRequest(http.MethodPost, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Sec-Fetch-Site", tt.site)
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
			t.Errorf("%s from %q: %d %.200s, want %d with %q", tt.path, tt.site, w.Code, w.Body, tt.status, tt.contains)
		}
	}
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		problem ConfigProblem
		want    string
	}{
		{ConfigProblem{File: "f.yaml", Line: 3, Field: "dns.ttl"}, "f.yaml:3: dns.ttl"},
		{ConfigProblem{File: "f.yaml", Line: 3}, "f.yaml:3"},
		{ConfigProblem{File: "f.yaml"}, "f.yaml"},
		{ConfigProblem{}, "the file"},
	} {
		if got := tt.problem.Place(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.problem, got, tt.want)
		}
	}
}
