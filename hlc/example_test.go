package hlc_test

import (
	"fmt"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// Whoever has heard of something stamps later than it, though its own clock is behind.
func Example() {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	west, east := hlc.Clock{Member: "west"}, hlc.Clock{Member: "east"}
	push := west.Now(noon)
	if err := east.Observe(push, noon.Add(-time.Minute)); err != nil {
		fmt.Println(err)
	}
	deletion := east.Now(noon.Add(-time.Minute))
	fmt.Println(deletion.Compare(push) > 0, deletion.WallMS == push.WallMS, deletion.Logical)
	// Output: true true 1
}
