package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

// page is a fleet in which much goes on.
func page() admin.Status {
	at := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	left := 3
	return admin.Status{
		Fleet: admin.Fleet{Hostname: "registry.contoso.com", Here: "westus", Replicas: []admin.Replica{
			{Name: "westus", Home: true, State: "online", Write: true, Up: true, Upstream: "http://west",
				Fronts: []admin.Front{{Address: "192.0.2.1", Up: true}, {Address: "192.0.2.2"}}},
			{Name: "eastus", State: "drain", Write: true, Up: true, PushesLeft: &left, Upstream: "http://east",
				WriteFailing: &admin.WriteFailing{Since: at},
				Probes: []admin.Probe{{Target: "upstream", URL: "http://east", Known: true, Up: true, Slow: true,
					Result: "ok", Since: at, Ends: at}}},
			{Name: "japaneast", State: "leaving"},
		}},
		Replication: admin.Replication{Replicas: []admin.Progress{
			{Replica: "westus", State: "Ready", Served: "gw-1", Detail: &admin.Detail{}},
			{Replica: "eastus", State: "Syncing", Entries: 45, Served: "gw-2", Detail: &admin.Detail{Left: 62}},
			{Replica: "japaneast", State: "Leaving", WaitsFor: "2 uploads"},
		}},
		Cluster: admin.Cluster{Name: "gw-1", Members: []admin.Member{{Name: "gw-2", Here: "eastus", Since: at,
			Address: "192.0.2.9:7946", Version: "v1", File: "0123456789", Differs: []string{"dns.ttl"}}}},
		File: "/etc/fairlead.yaml", Since: at, Pushes: 2, Needs: []string{"eastus: is slow", "westus: is tired"},
	}
}

const pageText = `registry.contoso.com: a gateway in westus, serving; pushes under way: 2
/etc/fairlead.yaml: in force since 2026-12-01T03:00:00Z

REPLICA    STATE         HEALTH  FRONTS  WRITES   COPIES              ENTRIES  PUSHES LEFT
westus     online, home  up      1/2     yes      Ready               0        -
eastus     drain         slow    0/0     failing  Syncing, 1m2s left  45       3
japaneast  leaving       down    0/0     no       Leaving             0        -
japaneast leaves, and waits for: 2 uploads

NAME  HERE    ADDRESS         VERSION  SINCE                 STATE    FILE      DIFFERS IN
gw-2  eastus  192.0.2.9:7946  v1       2026-12-01T03:00:00Z  serving  01234567  dns.ttl

this needs a person:
- eastus: is slow
- westus: is tired
`

const eastText = `replica          eastus
state            drain
upstream         http://east, slow
probed upstream  http://east: ok since 2026-12-01T03:00:00Z, certificate until 2026-12-01T03:00:00Z
writes           failing
copies           Syncing, 1m2s left, 45 entries
served by        gw-2
pushes left      3

this needs a person:
- eastus: is slow
`

func show() *cobra.Command {
	all := regionalCommands()
	return all[slices.IndexFunc(all, func(c *cobra.Command) bool { return c.Name() == "show" })]
}

func TestStatus(t *testing.T) {
	shown := page()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/status":
		case "/v1/replications/eastus":
			_, _ = io.WriteString(w, `{"name": "eastus", "properties": {"regionEndpointEnabled": true}}`)
			return
		default:
			t.Errorf("%s is asked", r.URL)
		}
		_ = json.NewEncoder(w).Encode(shown)
	}))
	defer s.Close()
	well := page()
	well.Needs = nil
	for name, c := range map[string]struct {
		cmd    *cobra.Command
		status admin.Status
		args   []string
		out    string // all of it, or a part of JSON
		code   int    // 0: no error
	}{
		"page": {statusCommand(), page(), nil, pageText, 1},
		"json": {statusCommand(), page(), []string{"-o", "json"}, `"needs": [`, 1},
		"all is well": {statusCommand(), well, nil,
			strings.Split(pageText, "\nthis")[0] + "\nnothing needs a person\n", 0},
		"no such output": {statusCommand(), page(), []string{"-o", "xml"}, "", 2},
		"nobody there":   {statusCommand(), page(), []string{"--admin", "http://127.0.0.1:1"}, "", 2},
		"one":            {show(), page(), []string{"eastus"}, eastText, 0},
		"one, as json":   {show(), page(), []string{"eastus", "-o", "json"}, `"state": "Syncing"`, 0},
		"one, as az asks": {show(), page(),
			[]string{"-n", "eastus", "--query", "properties.regionEndpointEnabled", "-o", "tsv"}, "true\n", 0},
		"none": {show(), page(), []string{"mars"}, "", 3},
	} {
		shown = c.status
		var out bytes.Buffer
		c.cmd.SetOut(&out)
		c.cmd.SilenceErrors, c.cmd.SilenceUsage = true, true
		c.cmd.SetArgs(append([]string{"--admin", s.URL}, c.args...))
		err := c.cmd.Execute()
		code := 0
		if err != nil {
			code = ExitCode(err)
		}
		same := out.String() == c.out || strings.HasPrefix(c.out, `"`) && strings.Contains(out.String(), c.out)
		if !same || code != c.code {
			t.Errorf("%s: exit code %d, %v\n%s\nwant %d\n%s", name, code, err, out.String(), c.code, c.out)
		}
		if c.code == 1 && c.cmd.Name() == "status" && !errors.Is(err, ErrSaid) {
			t.Errorf("%s: it has said all, and says %v", name, err)
		}
	}
}
