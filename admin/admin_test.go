package admin

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAdmin(t *testing.T) {
	reg := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "fairlead_test_total"})
	reg.MustRegister(counter)
	checks := []Check{{Name: "health"}}
	handler := New(Config{
		Gatherer: reg,
		Ready:    func() []Check { return checks },
		Fleet: func() Fleet {
			return Fleet{Draining: true, Hostname: "registry.contoso.com", Replicas: []Replica{{Name: "westus", Up: true}}}
		},
		Leases: func() []Lease { return []Lease{{Repository: "app", Owner: "westus", Granted: time.Unix(1, 0)}} },
		Lease: func(repository string) RepositoryLease {
			if repository != "team/app" {
				return RepositoryLease{Arbiter: "gw2"}
			}
			return RepositoryLease{&Lease{Repository: repository, Owner: "eastus", GrantedBy: "gw1", Arbitrated: true},
				"gw1"}
		},
		Cluster: func() Cluster {
			return Cluster{Name: "gw1", Members: []Member{{Name: "gw2", Here: "westus", Address: "127.0.0.2:7946"}}}
		},
		Replication: func() Replication { return Replication{} },
		Webhooks:    webhookNames{},
		Configs: Configs{
			InForce: func() InForce {
				return InForce{Values: []ConfigValue{{Field: "dns.ttl", Value: "1m", From: "default"}}}
			},
			Reload: func() (Loaded, error) { return Loaded{Result: LoadedRefused}, nil },
			Compare: func(with []ConfigGiven) []ConfigChange {
				return []ConfigChange{{Field: with[0].Field, New: with[0].Text}}
			},
		},
		Log: slog.New(slog.DiscardHandler),
	})
	ask := func(line string) *httptest.ResponseRecorder {
		method, path, _ := strings.Cut(line, " ")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, "http://127.0.0.1"+path, nil))
		return w
	}
	for _, test := range []struct {
		line     string
		problem  string // of the check
		status   int
		contains string
	}{
		{"GET /metrics", "", 200, "fairlead_test_total 0"},
		{"GET /healthz", "not yet", 200, "ok"},
		{"GET /readyz", "", 200, "ok\n"},
		{"GET /readyz?verbose", "", 200, "[+] health\n"},
		{"GET /readyz", "not yet", 503, "[-] health: not yet\n"},
		{"GET /fleet", "", 200, `"name": "westus"`},
		{"GET /leases", "", 200, `"repository": "app"`},
		{"GET /leases?repository=team/app", "", 200, `"granted_by": "gw1"`},
		{"GET /leases?repository=team%2Fapp", "", 200, `"owner": "eastus"`},
		{"GET /leases?repository=other", "", 200, "{\n  \"lease\": null,\n  \"arbiter\": \"gw2\"\n}"},
		{"GET /leases?repository=", "", 200, `"lease": null`},
		{"GET /status", "", 200, `"needs": []`},
		{"GET /status", "not yet", 200, `"health: not yet"`},
		{"GET /cluster", "", 200, `"here": "westus"`},
		{"GET /config", "", 200, `"from": "default"`},
		{"POST /config/reload", "", 200, `"result": "refused"`},
		{"GET /config/reload", "", 405, `"status":405`},
		{"POST /config/compare", "", 400, `"status":400`},
		{"GET /", "", 404, `"status":404`},
		{"DELETE /leases", "", 405, `"status":405`},
	} {
		checks[0].Problem = test.problem
		if w := ask(test.line); w.Code != test.status || !strings.Contains(w.Body.String(), test.contains) {
			t.Errorf("%s: %d %s, want %d with %q", test.line, w.Code, w.Body, test.status, test.contains)
		}
	}
	var leases []Lease
	if err := json.Unmarshal(ask("GET /leases").Body.Bytes(), &leases); err != nil || len(leases) != 1 {
		t.Errorf("%v %v", leases, err)
	}
}
