package replication

import (
	"slices"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
)

// maxRecentWrites is how many names that were written or deleted are remembered, of all replicas.
const maxRecentWrites = 16_384

// rememberWriteBegun remembers a name that is about to be written, or deleted, with the stamp that the ledger has of
// it. A client may have written the name at the replica before us, without the ledger having heard of it. Then our
// write lies over the client's; yet when the ledger hears of the client's, it says that the replica has that one. The
// oldest stamp counts, until rememberWriteDone.
func (e *Engine) rememberWriteBegun(target string, what ledger.Reference, stamp hlc.Stamp) {
	key := taskKey{target, what}
	if before, ok := e.recentWrites.Peek(key); ok && before.Compare(stamp) < 0 {
		stamp = before
	}
	e.recentWrites.Add(key, stamp)
}

// rememberWriteDone remembers that the replica has the name as the ledger had it at the stamp.
func (e *Engine) rememberWriteDone(target string, what ledger.Reference, stamp hlc.Stamp) {
	e.recentWrites.Add(taskKey{target, what}, stamp)
}

// RememberWrite remembers a name that something else than the engine is about to write to a replica in the gateway's
// own name.
func (e *Engine) RememberWrite(target string, what ledger.Reference) {
	now, _, _ := e.Ledger.Get(what) // what cannot be read counts as older than all
	e.rememberWriteBegun(target, what, now.Stamp)
}

// mayBeOverwritten reports whether our write may lie over what the entry says: the ledger has since heard of that later
// write, which the replica is said to have.
func (e *Engine) mayBeOverwritten(target string, entry ledger.Entry) bool {
	stamp, ok := e.recentWrites.Peek(taskKey{target, entry.Reference})
	return ok && entry.Stamp.Compare(stamp) > 0 && slices.Contains(entry.Confirmed, target)
}

// recentEntries is what the ledger has now of the names that were written to a replica.
func (e *Engine) recentEntries(target string) (entries []ledger.Entry) {
	for _, key := range e.recentWrites.Keys() {
		if key.target != target {
			continue
		}
		if entry, known, err := e.Ledger.Get(key.Reference); known && err == nil {
			entries = append(entries, entry)
		}
	}
	return entries
}
