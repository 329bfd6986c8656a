package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestAuditRoutes(t *testing.T) {
	var asked AuditRequest
	mux := http.NewServeMux()
	auditRoutes(mux, func() Audit { return Audit{ID: 7} }, func(q AuditRequest) (Audit, error) {
		if asked = q; len(q.Replicas) == 1 {
			return Audit{}, map[string]error{"busy": Problem{http.StatusConflict, "one is under way"},
				"broken": errors.New("secret")}[q.Replicas[0]]
		}
		return Audit{ID: 8, AuditRequest: q}, nil
	}, slog.New(slog.DiscardHandler))
	ask := func(method, body, site string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/audit", strings.NewReader(body))
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	for _, c := range []struct {
		method, body, site string
		status             int
		contains           string
	}{
		{"GET", "", "", 200, `"id": 7`},
		{"POST", `{"replicas":["a","b"],"deep":true}`, "", 202, `"id": 8`},
		{"POST", `{}`, "", 202, `"repair": false`},
		{"POST", `{"replicas":["busy"]}`, "", 409, "one is under way"},
		{"POST", `{"replicas":["broken"]}`, "", 500, "log"},
		{"POST", `{"colour":"blue"}`, "", 400, "colour"},
		{"POST", ``, "", 400, "cannot be read"},
		{"POST", `{"replicas":["` + strings.Repeat("a", maxBody) + `"]}`, "", 413, "bytes"},
		{"POST", `{"repair":true}`, "cross-site", 403, "origin"},
		{"DELETE", "", "", 405, ""},
	} {
		if w := ask(c.method, c.body, c.site); w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) ||
			strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s %.50s: %d %s", c.method, c.body, w.Code, w.Body)
		}
	}
	if ask("POST", `{"replicas":["a","b"],"deep":true,"repair":true}`, ""); !reflect.DeepEqual(asked,
		AuditRequest{[]string{"a", "b"}, true, true}) {
		t.Errorf("%+v", asked)
	}
}
