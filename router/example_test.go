package router_test

import (
	"fmt"

	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/router"
)

func ExampleDecide() {
	up := router.Health{Up: true}
	fleet := router.NewFleet([]router.Replica{
		{Name: "eastus", Point: geo.Point{Lat: 37.4, Lon: -79.8}, Operator: router.Online, Writable: true,
			Upstream: up},
		{Name: "westeurope", Point: geo.Point{Lat: 52.4, Lon: 4.9}, Operator: router.Online, Writable: true,
			Upstream: up},
	})
	order := fleet.OrderHere("westeurope") // of a client in Europe, and of a gateway there

	pull := router.Request{Kind: router.Pull, Client: order, Gateway: order}
	push := router.Request{Kind: router.Write, Client: order, Gateway: order, Lease: "eastus"}
	for _, r := range []router.Request{pull, push} {
		d := router.Decide(r)
		fmt.Print(r.Kind, ": ", d.Reason)
		for _, replica := range d.Tries {
			fmt.Print(" ", replica.Name)
		}
		fmt.Println()
	}
	// Output:
	// pull: nearest westeurope eastus
	// write: leased eastus
}
