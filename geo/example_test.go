package geo_test

import (
	"fmt"

	"github.com/fairlead-gateway/fairlead/geo"
)

func ExampleDistance() {
	london, newYork := geo.Point{Lat: 51.51, Lon: -0.13}, geo.Point{Lat: 40.71, Lon: -74.01}
	fmt.Printf("%.0f km\n", geo.Distance(london, newYork))
	// Output: 5570 km
}

// What counts for a client is the time to be expected, not the distance: cables do not follow great circles.
func ExampleExpectedRTT() {
	client := geo.Point{Lat: 51.51, Lon: -0.13}
	for _, name := range []string{"azure/westeurope", "azure/eastus"} {
		place, _ := geo.LookupPlace(name)
		fmt.Printf("%s %.0f ms\n", place.Name, geo.ExpectedRTT(client, place.Point))
	}
	// Output:
	// azure/westeurope 11 ms
	// azure/eastus 79 ms
}
