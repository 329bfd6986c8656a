package gateway

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/upstream"
)

func TestEgress(t *testing.T) {
	reg := prometheus.NewRegistry()
	e := upstream.NewEgress("westus", time.Unix(0, 0), reg)
	if got := egressOf(e.Here, e.Since, e.Snapshot()); got.RemoteShare != nil || len(got.Flows) != 0 {
		t.Errorf("%+v", got)
	}
	e.Pulled("westus", true, 60)
	e.Pulled("westus", false, 15)
	e.Pulled("eastus", true, 5)
	e.Healed("eastus", "westus", 7)
	e.Replicated("eastus", "westus", 10)
	e.Replicated("eastus", "westus", 3)
	got := egressOf(e.Here, e.Since, e.Snapshot())
	want := []admin.Flow{
		{Replica: "eastus", Path: "heal", To: "westus", EgressBytes: admin.EgressBytes{Remote: 7}},
		{Replica: "eastus", Path: "pull", EgressBytes: admin.EgressBytes{Remote: 5}, Nearest: 5},
		{Replica: "westus", Path: "pull", EgressBytes: admin.EgressBytes{Local: 75}, Nearest: 60},
		{Replica: "eastus", Path: "replication", To: "westus", EgressBytes: admin.EgressBytes{Remote: 13}},
	}
	if !reflect.DeepEqual(got.Flows, want) {
		t.Errorf("%+v", got.Flows)
	}
	if got.Pulls != (admin.EgressBytes{Local: 75, Remote: 5}) || got.Total != (admin.EgressBytes{Local: 75, Remote: 25}) || *got.RemoteShare != 0.25 {
		t.Errorf("%+v, %v", got, *got.RemoteShare)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP fairlead_egress_bytes_total Bytes of bodies that a replica sent through this gateway. path: pull (to a client), heal or replication (to the replica `+"`to`"+`). scope: local (to a client, from the replica beside this gateway) or remote. nearest: whether the replica was the client's nearest.
# TYPE fairlead_egress_bytes_total counter
fairlead_egress_bytes_total{nearest="",path="heal",replica="eastus",scope="remote",to="westus"} 7
fairlead_egress_bytes_total{nearest="",path="replication",replica="eastus",scope="remote",to="westus"} 13
fairlead_egress_bytes_total{nearest="false",path="pull",replica="westus",scope="local",to=""} 15
fairlead_egress_bytes_total{nearest="true",path="pull",replica="eastus",scope="remote",to=""} 5
fairlead_egress_bytes_total{nearest="true",path="pull",replica="westus",scope="local",to=""} 60
`)); err != nil {
		t.Error(err)
	}
}

// TestEgressOfNoRegion: a gateway without `here` counts as standing where its client does.
func TestEgressOfNoRegion(t *testing.T) {
	e := upstream.NewEgress("", time.Unix(0, 0), prometheus.NewRegistry())
	e.Pulled("westus", true, 1)
	e.Pulled("eastus", false, 2)
	if got := egressOf(e.Here, e.Since, e.Snapshot()); got.Total != (admin.EgressBytes{Local: 1, Remote: 2}) {
		t.Errorf("%+v", got)
	}
}
