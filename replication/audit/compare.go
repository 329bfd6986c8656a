package audit

import (
	"cmp"
	"slices"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// Reason is in which way a replica differs from the ledger.
type Reason string

// The closed set of reasons.
const (
	Missing    Reason = "missing"     // the ledger has it, the replica does not
	Stale      Reason = "stale"       // the tag names what it should not, and what is no news
	Undeleted  Reason = "undeleted"   // it was deleted, and is there
	Unknown    Reason = "unknown"     // it is there, and the ledger knows nothing of it
	OutOfBand  Reason = "out_of_band" // the tag was as the ledger says, and names now what the ledger does not know
	Incomplete Reason = "incomplete"  // the manifest is there, a part that it names is not; or it is damaged, and is itself what lacks
)

// Difference is one way in which a replica differs from the ledger.
type Difference struct {
	Replica    string
	Repository string
	Name       string // a tag or a digest
	Reason     Reason
	Has, Want  string   // digests; "": nothing
	Lacks      []string // parts of the manifest that are not there
	Pending    bool     // the replica has not been said to have it: replication is at it anyway
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
	Settled  Outcome = "settled" // a second look found it no more
	Failed   Outcome = "failed"
)

// Holding is what one replica has of one repository.
type holding struct {
	Has   map[string]transfer.Content // by tag, and by digest
	Lacks map[string][]string         // by digest, the parts that are not there; of manifests whose parts were looked for
}

// Known is what the ledger has of one repository, by name.
type entriesByName map[string]ledger.Entry

// Compare finds what differs, by name, and which entries the replica has not confirmed although it is as they say.
func compare(known entriesByName, replica, repository string, h holding) (list []Difference, confirmed []ledger.Entry) {
	names := map[string]bool{}
	tagged := map[string]bool{} // digests that come with a tag
	for name, c := range h.Has {
		names[name] = true
		if isTag(name) {
			tagged[c.Digest] = true
		}
	}
	for name := range known {
		names[name] = true
	}
	wanted := map[string]bool{} // digests of tags that have to be brought
	for name := range names {
		e, k := known[name]
		c, there := h.Has[name]
		d := Difference{Replica: replica, Repository: repository, Name: name, Has: c.Digest, Pending: k && !slices.Contains(e.Confirmed, replica)}
		if k && !e.Deleted {
			d.Want = e.Digest
		}
		content, knownContent := known[c.Digest]
		d.Reason = judge(e, k, c, there, knownContent, content.Deleted, replica)
		lacks, looked := h.Lacks[c.Digest]
		if d.Reason == OutOfBand && len(lacks) > 0 {
			d.Reason = insteadOfOutOfBand(e)
		}
		switch {
		case d.Reason == Unknown && !isTag(name) && tagged[name]:
			continue
		case d.Reason == Unknown:
			d.Lacks = lacks
		case d.Reason == "" && there && !isTag(name) && len(lacks) > 0:
			d.Reason, d.Lacks = Incomplete, lacks
		case d.Reason == "" && d.Pending && (there && looked && len(lacks) == 0 || e.Deleted):
			confirmed = append(confirmed, e)
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
	slices.SortFunc(list, func(a, b Difference) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(confirmed, func(a, b ledger.Entry) int { return cmp.Compare(a.Name, b.Name) })
	return list, confirmed
}

// notAround is the reason instead: what is not whole is not taken over.
func insteadOfOutOfBand(e ledger.Entry) Reason {
	if e.Deleted {
		return Undeleted
	}
	return Stale
}

// judge is the reason for which what a replica has by a name is not what the ledger says; "" if it is.
func judge(e ledger.Entry, known bool, c transfer.Content, there, contentKnown, contentDeleted bool, replica string) Reason {
	confirmed := slices.Contains(e.Confirmed, replica)
	around := there && isTag(e.Name) && !contentKnown && confirmed
	switch {
	case !known && there && contentDeleted:
		return Undeleted
	case !known && there:
		return Unknown
	case !known:
		return ""
	case around && (e.Deleted || c.Digest != e.Digest):
		return OutOfBand
	case e.Deleted && there:
		return Undeleted
	case e.Deleted:
		return ""
	case !there:
		return Missing
	case c.Digest != e.Digest:
		return Stale
	}
	return ""
}

// inspect lists the manifests whose parts are to be looked for: all of them, or those that nobody has vouched for.
func inspect(known entriesByName, replica string, h holding, deep bool) (digests []string) {
	vouched := func(name string) bool {
		e, ok := known[name]
		return ok && (e.Deleted || slices.Contains(e.Confirmed, replica))
	}
	wanted := map[string]bool{}
	for name, c := range h.Has {
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
