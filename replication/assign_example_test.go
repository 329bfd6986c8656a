package replication_test

import (
	"fmt"
	"slices"

	"github.com/fairlead-gateway/fairlead/replication"
)

// One gateway stands beside westus. Of the replicas that none stands beside it serves those that the arbiter gives it.
func ExampleAssign() {
	members := []replication.Member{{Name: "gw-1", Here: "westus"}, {Name: "gw-2"}}
	arbiter := func(_ string, members []string) string { return slices.Max(members) } // gateways use cluster.Arbiter
	for _, m := range members {
		fmt.Println(m.Name, replication.Assign([]string{"westus", "eastus"}, members, m.Name, arbiter))
	}
	// Output:
	// gw-1 [westus]
	// gw-2 [eastus]
}
