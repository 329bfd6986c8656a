package replication

import "testing"

func TestEmptied(t *testing.T) {
	for _, tt := range []struct {
		has, lost     int
		wasAway, want bool
	}{
		{0, 0, true, false}, {8, 0, true, false}, {0, 1, true, true}, {1, 1, true, true}, {2, 1, true, false},
		{0, 1, false, false}, {0, 2, false, false}, {0, 3, false, true}, {3, 3, false, true}, {4, 3, false, false},
	} {
		if got := Emptied(tt.has, tt.lost, tt.wasAway); got != tt.want {
			t.Errorf("has %d, lost %d, was away: %v: %v", tt.has, tt.lost, tt.wasAway, got)
		}
	}
}
