package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/hlc"
)

// Replica is one whose confirmations count. Another registry under the same name has another incarnation, and is not
// taken to have what the one before it had.
type Replica struct {
	Name        string
	Incarnation string // up to 8 bytes; "": there is only one
}

// Named are replicas of which there is only one incarnation each.
func Named(names ...string) (replicas []Replica) {
	for _, name := range names {
		replicas = append(replicas, Replica{Name: name})
	}
	return replicas
}

// holderMark is between a replica's name and its incarnation, in rows: a holder is one incarnation of a replica. What
// rows were confirmed to have, holders were; whoever reads an entry is told names, of the present incarnations alone.
const (
	holderMark     = "@"
	maxIncarnation = 8
)

// renewals is where a replica has a row whose stamp is of the last Renew. No registry takes such a repository.
const renewals = "_replicas"

func (r Reference) isRenewal() bool { return r.Repository == renewals }

// isReserved: the row is about no content.
func (r Reference) isReserved() bool { return r.isRenewal() || r.isSetting() }

// fleet is all replicas whose confirmations count, as an immutable value.
type fleet struct {
	replicas []Replica            // by name
	first    map[string]string    // by replica, the holder that rows mean which have the name alone
	renewed  map[string]hlc.Stamp // by replica
	holders  map[string]string    // by replica, the present one
	sorted   []string             // the present ones
}

func newFleet(replicas []Replica, first map[string]string, renewed map[string]hlc.Stamp) *fleet {
	f := &fleet{first: maps.Clone(first), renewed: renewed, holders: map[string]string{}}
	f.replicas = slices.SortedFunc(slices.Values(replicas), func(a, b Replica) int { return cmp.Compare(a.Name, b.Name) })
	if f.first == nil {
		f.first = map[string]string{}
	}
	for _, r := range f.replicas {
		if _, known := f.first[r.Name]; !known {
			f.first[r.Name] = r.holder(hlc.Stamp{})
		}
		f.holders[r.Name] = r.holder(renewed[r.Name])
	}
	f.sorted = slices.Sorted(maps.Values(f.holders))
	return f
}

// holder is the replica's incarnation since it was last renewed.
func (r Replica) holder(renewed hlc.Stamp) string {
	incarnation := r.Incarnation
	if renewed != (hlc.Stamp{}) {
		sum := sha256.Sum256(marshal([]any{incarnation, wireStamp(renewed)}))
		incarnation = hex.EncodeToString(sum[:maxIncarnation/2])
	}
	if incarnation == "" {
		return r.Name
	}
	return r.Name + holderMark + incarnation
}

// holder of a replica that is not in the fleet is its name.
func (f *fleet) holder(replica string) string { return cmp.Or(f.holders[replica], replica) }

// holding is a row in which names alone stand for the incarnation that was there first.
func (f *fleet) holding(r Row) Row {
	if !slices.ContainsFunc(r.Confirmed, func(name string) bool { return cmp.Or(f.first[name], name) != name }) {
		return r
	}
	var holders []string
	for _, name := range r.Confirmed {
		holders = append(holders, cmp.Or(f.first[name], name))
	}
	r.Confirmed = union(holders, nil)
	return r
}

// entry is a row as others see it.
func (f *fleet) entry(r Row) Entry {
	e, names := r.Entry, []string(nil)
	for _, holder := range r.Confirmed {
		name := replicaOf(holder)
		if present, known := f.holders[name]; present == holder || !known && name == holder {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	e.Confirmed = names
	return e
}

func replicaOf(holder string) string {
	name, _, _ := strings.Cut(holder, holderMark)
	return name
}

// confirmed adds a holder. It takes the place of other incarnations of its replica, so that those do not add up.
func (r Row) confirmed(holder string) []string {
	others := slices.DeleteFunc(slices.Clone(r.Confirmed),
		func(have string) bool { return replicaOf(have) == replicaOf(holder) })
	return bounded(union(others, []string{holder}), maxConfirmed)
}

// checkReplicas judges the arguments of Open and Update.
func checkReplicas(replicas []Replica) error {
	if len(replicas) > maxReplicas {
		return fmt.Errorf("%w: %d replicas", ErrInvalid, len(replicas))
	}
	for _, r := range replicas {
		if err := checkReplica(r.Name); err != nil {
			return err
		}
		if r.Incarnation != "" && (!validText(r.Incarnation, maxIncarnation) || strings.Contains(r.Incarnation, holderMark)) {
			return fmt.Errorf("%w: incarnation %.300q", ErrInvalid, r.Incarnation)
		}
	}
	return nil
}

// CheckReplicas reports whether Update would take these.
func CheckReplicas(replicas []Replica) error { return checkReplicas(replicas) }

// Update makes these the replicas that Pending is asked about, and whose confirmations count. What the index of pending
// entries lacks is added step by step, while others write; Indexed tells when that is done.
func (l *Ledger) Update(replicas []Replica) error {
	if err := checkReplicas(replicas); err != nil {
		return err
	}
	l.changeFleet(func(f *fleet) *fleet { return newFleet(replicas, f.first, f.renewed) })
	return nil
}

func (l *Ledger) changeFleet(change func(*fleet) *fleet) {
	l.fleetMu.Lock()
	before := l.fleet.Load()
	after := change(before)
	for _, holder := range before.sorted {
		if !slices.Contains(after.sorted, holder) {
			l.unkept[holder]++
		}
	}
	l.fleet.Store(after)
	l.fleetMu.Unlock()
	select {
	case l.reindex <- struct{}{}:
	default:
	}
}

// Holder names a replica's present incarnation, for Confirm, and to tell it from others.
func (l *Ledger) Holder(replica string) string { return l.fleet.Load().holder(replica) }

// Indexed reports whether Pending lists all that the replica has not confirmed.
func (l *Ledger) Indexed(replica string) bool {
	have := l.indexed.Load()
	return have != nil && slices.Contains(*have, l.Holder(replica))
}

// Renew takes back all that a replica was confirmed to have, on all gateways: it is not, or no longer, the registry
// that had it. All of that is pending again.
func (l *Ledger) Renew(replica string) error {
	if err := checkReplica(replica); err != nil {
		return err
	}
	return l.submit(func(t *tx) error {
		what := Reference{Repository: renewals, Name: replica}
		old, _ := t.row(what.key())
		t.renewed = true
		return t.changeRow(old, Row{Entry: Entry{
			Reference: what, Deleted: true, Replica: replica, Stamp: l.clock.Now(l.now()),
		}})
	})
}

// renewed is when replicas were renewed.
func (t *tx) renewals() map[string]hlc.Stamp {
	all := map[string]hlc.Stamp{}
	prefix := renewals + separator
	for _, k := range t.keys(bucketEntries, prefix, "", maxRenewals) {
		if r, ok := t.row(k); ok {
			all[r.Name] = r.Stamp
		}
	}
	return all
}

// maxRenewals bounds what is read of them.
const maxRenewals = 16 * maxReplicas

// noteRenewals makes what was just written count.
func (l *Ledger) noteRenewals(t *tx) {
	renewed := t.renewals()
	l.changeFleet(func(f *fleet) *fleet { return newFleet(f.replicas, f.first, renewed) })
}

// firstIn reads whom names alone mean.
func firstIn(data []byte) (first map[string]string) {
	_ = json.Unmarshal(data, &first) // none: it begins now
	return first
}
