package command

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/admin"
)

// explained runs the command on the demo's file, for a client in Europe.
func explained(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var buffer bytes.Buffer
	cmd := explainCommand()
	cmd.SetArgs(append([]string{"--config", "../../../configs/demo.yaml", "--at", "52.37,4.9"}, args...))
	cmd.SetOut(&buffer)
	cmd.SetErr(&buffer)
	err = cmd.ExecuteContext(t.Context())
	return buffer.String(), err
}

func TestExplainAsksARunningGateway(t *testing.T) {
	held := admin.Lease{Repository: "team/app", Owner: "eastus", Granted: time.Now(), GrantedBy: "gw-westus",
		Arbitrated: true}
	var answer admin.RepositoryLease
	running := httptest.NewServer(admin.New(admin.Config{
		Gatherer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Lease: func(repository string) admin.RepositoryLease {
			if repository != "team/app" {
				t.Errorf("asked about %q", repository)
			}
			return answer
		},
	}))
	defer running.Close()
	elsewhere := held
	elsewhere.Owner = "japaneast"
	for _, test := range []struct {
		name           string
		answer         admin.RepositoryLease
		write          bool
		chosen, reason string
	}{
		{"a push goes to the owner", admin.RepositoryLease{Lease: &held, Arbiter: "gw-eastus"}, true, "eastus",
			"leased"},
		{"so does a pull", admin.RepositoryLease{Lease: &held, Arbiter: "gw-eastus"}, false, "eastus", "leased"},
		{"no lease", admin.RepositoryLease{Arbiter: "gw-eastus"}, true, "westeurope", "nearest"},
		{"an owner that this file does not have", admin.RepositoryLease{Lease: &elsewhere}, true, "westeurope",
			"failover"},
	} {
		answer = test.answer
		args := []string{"--repository", "team/app", "--admin", running.URL, "-o", "json"}
		if test.write {
			args = append(args, "--write")
		}
		out, err := explained(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		var e explanation
		if err := json.Unmarshal([]byte(out), &e); err != nil {
			t.Fatal(err)
		}
		if e.Chosen != test.chosen || string(e.Reason) != test.reason || *e.Arbiter != test.answer.Arbiter ||
			(e.Lease == nil) != (test.answer.Lease == nil) {
			t.Errorf("%s: %s", test.name, out)
		}
		table, _ := explained(t, args[:4]...)
		if want := leaseText(answer.Lease, answer.Arbiter, time.Now()); !strings.Contains(table,
			strings.Split(want, ",")[0]) {
			t.Errorf("%s: no %q in\n%s", test.name, want, table)
		}
	}
}

// Without --admin nobody is asked, whatever the environment names.
func TestExplainAsksNobodyUnlessTold(t *testing.T) {
	t.Setenv("FAIRLEAD_ADMIN", "http://127.0.0.1:1")
	out, err := explained(t, "--repository", "app", "--write", "-o", "json")
	if err != nil || !strings.Contains(out, `"lease": null`) || !strings.Contains(out, `"arbiter": null`) {
		t.Errorf("%v: %s", err, out)
	}
	if out, _ := explained(t, "--repository", "app"); strings.Contains(out, "lease") {
		t.Error(out)
	}
	for _, args := range [][]string{{"--admin", "http://127.0.0.1:1"}, {"--admin", "http://127.0.0.1:1", "--repository",
		"app"}} {
		if out, err := explained(t, args...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
}

func TestLeaseText(t *testing.T) {
	now := time.Unix(1000, 0)
	lease := func(by string, arbitrated bool, granted int64) *admin.Lease {
		return &admin.Lease{Owner: "westeurope", Granted: time.Unix(granted, 0), GrantedBy: by, Arbitrated: arbitrated}
	}
	for _, test := range []struct {
		lease         *admin.Lease
		arbiter, want string
	}{
		{nil, "", "no lease"},
		{nil, "gw-eastus", "no lease; gw-eastus would arbitrate"},
		{lease("gw-westus", true, 988), "gw-westus", "lease: westeurope, granted by gw-westus as arbiter, 12s ago"},
		{lease("gw-westus", false, 900), "gw-eastus",
			"lease: westeurope, granted by gw-westus alone, 1m40s ago: no arbiter answered"},
		// a clock ahead of ours
		{lease("gw-westus", true, 4600), "gw-westus", "lease: westeurope, granted by gw-westus as arbiter, 0s ago"},
		{lease("", false, 988), "gw-eastus", "lease: westeurope, granted 12s ago; the other gateways do not know of it"},
		{lease("", false, 988), "", "lease: westeurope, granted 12s ago"},
	} {
		if got := leaseText(test.lease, test.arbiter, now); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
