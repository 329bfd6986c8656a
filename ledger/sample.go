package ledger

import "math/rand/v2"

// Bounds of Sample.
const (
	sampleDraws = 64   // rows that were changed at some time
	sampleScan  = 1000 // rows beside each other, where those do not do
)

// Sample draws up to n live tags that a replica has confirmed, or manifests where it finds no tag: what to ask for, to see
// whether the replica still has what it had.
func (l *Ledger) Sample(replica string, n int) (tags []Entry, err error) {
	var digests []Entry
	err = l.read(func(t *tx) {
		seen, holder := map[Reference]bool{}, t.fleet.holder(replica)
		take := func(r Row) {
			switch {
			case seen[r.Reference] || r.Deleted || r.Blob || r.pending(holder):
			case r.IsTag() && len(tags) < n:
				tags = append(tags, t.fleet.entry(r))
			case !r.IsTag() && len(digests) < n:
				digests = append(digests, t.fleet.entry(r))
			}
			seen[r.Reference] = true
		}
		t.draw(sampleDraws, take)
		if len(tags) < n {
			t.scan("", sampleScan, take)
		}
	})
	if len(tags) == 0 {
		tags = digests
	}
	return tags, err
}

// draw visits rows at random, by the changes that were made to them.
func (t *tx) draw(times int, visit func(Row)) {
	for origin, last := range t.vector() {
		if last == 0 {
			continue
		}
		for range times {
			from := origin + separator + number(1+rand.Uint64N(last)) //nolint:gosec // a sample is no secret
			for _, k := range t.keys(bucketChanges, origin+separator, from, 1) {
				if _, key, ok := changeOf(k, origin); ok {
					if r, ok := t.row(key); ok {
						visit(r)
					}
				}
			}
		}
	}
}
