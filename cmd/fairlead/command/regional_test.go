package command

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/admin"
)

// TestRegionalCommands: scripts that were written for az acr replication, and what of ours is beside it.
func TestRegionalCommands(t *testing.T) {
	one := admin.Regional{Name: "japaneast", Location: "japaneast", Tags: map[string]string{},
		Properties: admin.RegionalState{ProvisioningState: "Creating", RegionEndpointEnabled: true,
			Status: admin.RegionalStatus{DisplayStatus: "Provisioning", Message: "it waits"}}}
	asked := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = strings.TrimSpace(r.Method + " " + r.URL.String() + " " + string(body))
		var answer any = one
		switch {
		case r.URL.Query().Get("force") == "true", strings.HasSuffix(r.URL.Path, "/reset"):
			w.WriteHeader(http.StatusNoContent)
			return
		case strings.Contains(asked, "mars"):
			w.WriteHeader(http.StatusNotFound)
			answer = map[string]string{"detail": "there is no replica mars"}
		case r.URL.Path == "/v1/replications":
			answer = admin.Regionals{Value: []admin.Regional{one}}
		case r.URL.Path == "/fleet":
			answer = admin.Fleet{Hostname: "registry.contoso.com"}
		case r.URL.Path == "/v1/changes":
			answer = admin.Changes{Value: []admin.Change{{By: "eva", Through: "gw1", Key: "k", Old: "a", New: "b"}}}
		case r.URL.Path == "/v1/config/export":
			answer = admin.Exported{File: "hostname: x\n"}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer s.Close()
	const (
		table = "NAME       LOCATION   PROVISIONING STATE  STATUS        REGION ENDPOINT ENABLED\n" +
			"japaneast  japaneast  Creating            Provisioning  true\n"
		idle = "--registry means nothing here: this gateway is of one registry\n"
		at   = " /v1/replications/japaneast"
	)
	for _, c := range []struct {
		line, asks, says, fail string
	}{
		{"replication list -r contoso", "GET /v1/replications", idle + table, ""},
		{"replication create -r contoso -l japaneast --address 192.0.2.1 --upstream https://r", "PUT" + at +
			` {"location":"japaneast","fairlead":{"addresses":["192.0.2.1"],"upstream":"https://r"}}`, idle + table, ""},
		{"replication create --location azure/japaneast --tags a=b c=d --region-endpoint-enabled false", "PUT" + at +
			` {"location":"azure/japaneast","tags":{"a":"b","c":"d"},"properties":{"regionEndpointEnabled":false}}`, table, ""},
		{"replication create -l japaneast -n tokyo", `PUT /v1/replications/tokyo {"location":"japaneast"}`, table, ""},
		{"replication create", "", "", "where?"},
		{"replication update -n japaneast --state drain --bias -2.5", "PATCH" + at +
			` {"fairlead":{"state":"drain","bias":-2.5}}`, table, ""},
		{"replication update japaneast --write=false --home", "PATCH" + at + ` {"fairlead":{"write":false,"home":true}}`, table,
			""},
		{"replication update japaneast --global-endpoint-routing maybe", "", "", "true or false"},
		{"replication update japaneast --global-endpoint-routing true --region-endpoint-enabled false", "", "", "mean the same"},
		{"replication update", "", "", "which replica"},
		{"replication update -n a b", "", "", "say it once"},
		{"replication update mars --bias 1", `PATCH /v1/replications/mars {"fairlead":{"bias":1}}`, "", "no replica mars"},
		{"replication delete japaneast --yes", "DELETE" + at, "japaneast leaves: it waits\n", ""},
		{"replication delete -n japaneast --force", "DELETE" + at + "?force=true", "japaneast has left\n", ""},
		{"config reset japaneast state bias", "POST" + at + `/reset {"keys":["state","bias"]}`, "japaneast is as its file says\n",
			""},
		{"config reset japaneast", "POST" + at + "/reset {}", "japaneast is as its file says\n", ""},
		{"config export", "GET /v1/config/export", "hostname: x\n", ""},
		{"show-endpoints -n contoso --query loginServer -o tsv", "GET /v1/replications",
			strings.Replace(idle, "registry m", "name m", 1) + "registry.contoso.com\n", ""},
		{"show-endpoints", "GET /v1/replications", "registry.contoso.com\njapaneast.registry.contoso.com  japaneast\n", ""},
		{"replication list --query [].properties.status.displayStatus -o tsv", "GET /v1/replications", "Provisioning\n", ""},
		{"replication create -l japaneast --zone-redundancy Enabled", "PUT" + at + ` {"location":"japaneast"}`,
			strings.Replace(idle, "registry m", "zone-redundancy m", 1) + table, ""},
		{"changes", "GET /v1/changes", "AT                    BY   THROUGH  KEY  OLD  NEW\n" +
			"0001-01-01T00:00:00Z  eva  gw1      k    a    b\n", ""},
	} {
		asked = ""
		var out bytes.Buffer
		args := Spread(strings.Fields(c.line))
		for _, cmd := range All() {
			if cmd.Name() != args[0] {
				continue
			}
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SetArgs(append(args[1:], "--admin", s.URL))
			err := cmd.Execute()
			if asked != c.asks || out.String() != c.says || (err == nil) != (c.fail == "") ||
				err != nil && !strings.Contains(err.Error(), c.fail) {
				t.Errorf("%s: asks %s, says %s, %v", c.line, asked, out.String(), err)
			}
		}
	}
}
