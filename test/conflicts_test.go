package test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestConflicts: two sides of a cut push the same tags. When it has healed all replicas agree on each of them, by the
// later write, and have both digests. Who hears of both writes counts the conflict: those at least that took the one
// that lost.
func TestConflicts(t *testing.T) {
	long(t)
	t.Parallel()
	tags := number(t, "FAIRLEAD_CONFLICTS", 15)
	r := newRegionsWith(t, func(f *file) { f.replication = copyAll })
	for other := range 2 {
		r.network.Cut(other, 2)
		r.network.Cut(2, other)
	}
	for i, want := range []int{2, 2, 1} {
		waitFor(t, startBound, "the cut to be noticed", func() error {
			if n := len(r.gateways[i].members(t)); n != want {
				return fmt.Errorf("%s has %d members", r.gateways[i].name, n)
			}
			return nil
		})
	}
	pushed := make([][2]string, tags) // by side
	for n := range tags {
		for side, via := range []int{0, 2} {
			client := r.clients[via]
			var of descriptor
			err := errors.New("not tried")
			for range 5 { // a replica on the other side may be found out first by this
				if of, _, err = client.pushLayers(t, fmt.Sprintf("cut-%d", n%7), fmt.Sprintf("v%d", n),
					fmt.Sprint("side", side), 0, 0); err == nil {
					break
				}
				t.Log(err)
			}
			must(t, err)
			pushed[n][side] = of.Digest
		}
	}
	r.network.Heal()
	waitFor(t, 2*startBound, "all replicas to agree", func() error {
		for n := range tags {
			repository, tag := fmt.Sprintf("cut-%d", n%7), fmt.Sprintf("v%d", n)
			for _, at := range r.registries {
				switch got, err := at.tagged(repository, tag); {
				case err != nil:
					return err
				case got != pushed[n][1]: // it was pushed last
					return fmt.Errorf("%s: %s:%s is %s of %v", at.name, repository, tag, got, pushed[n])
				}
				for _, digest := range pushed[n] {
					if got, err := at.tagged(repository, digest); err != nil || got == "" {
						return fmt.Errorf("%s: %s has no %s: %w", at.name, repository, digest, err)
					}
				}
			}
		}
		return nil
	})
	var counted []string
	most := 0
	for _, g := range r.gateways {
		n := int(g.metric(t, "fairlead_replication_conflicts_total"))
		counted = append(counted, fmt.Sprint(n))
		if most = max(most, n); n > tags {
			t.Errorf("%s has counted %d conflicts of %d", g.name, n, tags)
		}
	}
	if most < tags {
		t.Errorf("nobody has counted all %d conflicts: %v", tags, counted)
	}
	t.Logf("figure: %d tags pushed on both sides of a cut: all replicas agree on the later, have both digests; conflicts counted %s", tags, strings.Join(counted, ", "))
}
