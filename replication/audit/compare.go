package audit

import (
	"maps"
	"slices"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// Reason is the way in which a replica differs from the ledger.
type Reason string

// The closed set of reasons.
const (
	Missing    Reason = "missing"     // the ledger has it, the replica does not
	Stale      Reason = "stale"       // the tag names another digest than the ledger says
	Undeleted  Reason = "undeleted"   // it was deleted, and is there
	Unknown    Reason = "unknown"     // it is there, and the ledger knows nothing of it
	OutOfBand  Reason = "out_of_band" // the tag was as recorded, and now names a digest not in the ledger
	Incomplete Reason = "incomplete"  // a blob of the manifest is missing, or the manifest is damaged
)

// Difference is one way in which a replica differs from the ledger.
type Difference struct {
	Replica    string
	Repository string
	Name       string // a tag or a digest
	Reason     Reason
	Has, Want  string   // digests; "": nothing
	Lacks      []string // digests of what is missing, of an incomplete manifest
	Pending    bool     // the replica has not confirmed it: replication is at it anyway
	Outcome    Outcome
	Problem    string // of a repair that failed
}

// Outcome is what became of a difference.
type Outcome string

// The closed set of outcomes.
const (
	Left     Outcome = ""         // nothing was to be done
	Pending  Outcome = "pending"  // it is left to replication, which is at it
	Recorded Outcome = "recorded" // in the ledger; replication does the rest
	Repaired Outcome = "repaired"
	Settled  Outcome = "settled" // a second look did not find it
	Failed   Outcome = "failed"
)

// holding is what one replica has of one repository.
type holding struct {
	has   map[string]transfer.Content // by tag, and by digest
	lacks map[string][]string         // by digest, what is missing; of manifests whose blobs were looked for
}

// entriesByName is what the ledger has of one repository.
type entriesByName map[string]ledger.Entry

// compare lists what differs, by name, and the entries that the replica has not confirmed although it has them as they
// say.
func compare(known entriesByName, replica, repository string, h holding) (list []Difference, confirmed []ledger.Entry) {
	tagged := map[string]bool{} // digests that tags name
	for name, c := range h.has {
		if isTag(name) {
			tagged[c.Digest] = true
		}
	}
	wanted := map[string]bool{} // digests that are copied with a tag
	for _, name := range allNames(known, h) {
		s := sightingOf(known, h, replica, name)
		lacks, inspected := h.lacks[s.content.Digest]
		d := Difference{
			Replica: replica, Repository: repository, Name: name, Reason: s.reason(len(lacks) == 0),
			Has: s.content.Digest, Pending: s.recorded && !s.confirmed,
		}
		if s.recorded && !s.entry.Deleted {
			d.Want = s.entry.Digest
		}
		switch {
		case d.Reason == Unknown && !isTag(name) && tagged[name]:
			continue // it is recorded with its tag
		case d.Reason == Unknown:
			d.Lacks = lacks
		case d.Reason == "" && s.there && !isTag(name) && len(lacks) > 0:
			d.Reason, d.Lacks = Incomplete, lacks
		case d.Reason == "" && d.Pending && (s.entry.Deleted || s.there && inspected && len(lacks) == 0):
			confirmed = append(confirmed, s.entry)
		}
		if d.Reason == "" {
			continue
		}
		if isTag(name) && (d.Reason == Missing || d.Reason == Stale) {
			wanted[d.Want] = true
		}
		list = append(list, d)
	}
	list = slices.DeleteFunc(list, func(d Difference) bool { return d.Reason == Missing && wanted[d.Name] })
	return list, confirmed
}

func allNames(known entriesByName, h holding) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(known)), maps.Keys(h.has))
	slices.Sort(names)
	return slices.Compact(names)
}

// toInspect lists the manifests whose blobs are to be looked for: if deep all, else those that the replica has not
// confirmed.
func toInspect(known entriesByName, replica string, h holding, deep bool) (digests []string) {
	vouched := func(name string) bool {
		e, ok := known[name]
		return ok && (e.Deleted || slices.Contains(e.Confirmed, replica))
	}
	wanted := map[string]bool{}
	for name, c := range h.has {
		if known[c.Digest].Deleted {
			continue
		}
		if deep || !vouched(name) || !vouched(c.Digest) {
			wanted[c.Digest] = true
		}
	}
	for digest := range wanted {
		digests = append(digests, digest)
	}
	slices.Sort(digests)
	return digests
}
