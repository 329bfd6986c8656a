package ledger

import (
	"fmt"
	"testing"
	"time"
)

// TestTold: when Told returns, all who can be reached know what was recorded before, however much that was and whatever the news of
// it has come to. Who cannot be reached holds it up for a moment only.
func TestTold(t *testing.T) {
	members := []string{"gw1", "gw2", "gw3"}
	n := &net{of: map[string]*Gossip{}, cut: map[string]bool{}}
	var all []*Ledger
	for _, name := range members {
		all = append(all, n.join(t, t.Context(), name, members))
	}
	n.of["gw1"].patience = time.Minute // the machine may be busy
	knows := func(l *Ledger, what Reference) bool {
		e, known, err := l.Get(what)
		return err == nil && known && e.Deleted
	}
	for i := range 5 {
		for j := range i * i {
			pushTag(t, all[0], fmt.Sprintf("v%d-%d", i, j), j)
		}
		what := Reference{Repository: "app", Name: fmt.Sprint("gone", i)}
		if _, err := all[0].Delete(what, "west", Request{}); err != nil {
			t.Fatal(err)
		}
		n.of["gw1"].Told(t.Context())
		for j, l := range all {
			if !knows(l, what) {
				t.Errorf("%s does not know of deletion %d", members[j], i)
			}
		}
	}
	n.of["gw1"].patience = toldBound
	n.mu.Lock()
	n.cut["gw3"] = true
	n.mu.Unlock()
	what := Reference{Repository: "app", Name: "gone"}
	if _, err := all[0].Delete(what, "west", Request{}); err != nil {
		t.Fatal(err)
	}
	n.of["gw1"].Told(t.Context())
	if knows(all[2], what) {
		t.Error("it is not cut off")
	}
	if len(n.of["gw1"].waits) != 0 {
		t.Error("still waiting")
	}
}
