package admin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestIsLocal(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:9180": true, "127.0.0.1": true, "127.9.9.9:1": true, "[::1]:9180": true, "[::1]": true,
		"[::ffff:127.0.0.1]:80": true,
		"localhost:9180":        true, "LocalHost": true,
		"": false, ":9180": false, "evil.example:9180": false, "evil.example": false, "localhost.evil.example": false,
		"127.0.0.1.evil.example": false,
		"10.0.0.1:9180":          false, "0.0.0.0": false, "[::]:9180": false, "127.1": false, "2130706433": false,
		"[::1":       false,
		"localhost:": true,
	} {
		if got := isLocal(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// A page under a name that leads to this machine is of the same origin as what it asks for here.
func TestRebinding(t *testing.T) {
	hooks := webhookNames{}
	handler := New(Config{Gatherer: prometheus.NewRegistry(), Webhooks: hooks, Fleet: func() Fleet { return Fleet{} },
		Log: slog.New(slog.DiscardHandler)})
	for _, line := range []string{"POST /webhooks", "GET /webhooks", "GET /fleet", "GET /metrics",
		"POST /replication/retry", "GET /healthz"} {
		method, path, _ := strings.Cut(line, " ")
		r := httptest.NewRequest(method, "http://evil.example:9180"+path,
			strings.NewReader(`{"Name":"spy","URI":"https://evil.example/"}`))
		r.Header.Set("Origin", "http://evil.example:9180")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusMisdirectedRequest || w.Header().Get("Content-Type") != "application/problem+json" ||
			len(hooks) != 0 {
			t.Errorf("%s: %d %s, %v", line, w.Code, w.Body, hooks)
		}
	}
}
