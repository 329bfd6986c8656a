package admin

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestDrain(t *testing.T) {
	var draining bool
	var refused error
	handler := New(Config{
		Gatherer: prometheus.NewRegistry(), Webhooks: webhookNames{}, Log: slog.New(slog.DiscardHandler),
		Drained: func() Drain { return Drain{Draining: draining, Fronts: []string{}} },
		Drain: func(on bool) error {
			if refused == nil {
				draining = on
			}
			return refused
		},
	})
	for _, step := range []struct {
		line     string
		origin   string
		refused  error
		status   int
		contains string
		draining bool
	}{
		{"GET /drain", "", nil, 200, `"draining": false`, false},
		{"POST /drain", "https://evil.test", nil, 403, "another origin", false},
		{"POST /drain", "", errors.New("nobody else"), 409, `"detail":"nobody else"`, false},
		{"POST /drain", "", nil, 200, `"draining": true`, true},
		{"GET /drain", "", nil, 200, `"draining": true`, true},
		{"DELETE /drain", "https://evil.test", nil, 403, "another origin", true},
		{"DELETE /drain", "", nil, 200, `"draining": false`, false},
		{"PUT /drain", "", nil, 405, `"status":405`, false},
	} {
		refused = step.refused
		method, path, _ := strings.Cut(step.line, " ")
		r := httptest.NewRequest(method, "http://127.0.0.1"+path, nil)
		if step.origin != "" {
			r.Header.Set("Origin", step.origin)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != step.status || !strings.Contains(w.Body.String(), step.contains) || draining != step.draining {
			t.Errorf("%s from %q: %d %s, draining %t", step.line, step.origin, w.Code, w.Body, draining)
		}
	}
}
