package replication

import "github.com/fairlead-gateway/fairlead/ledger"

// Ledger is what was pushed and deleted, as the engine sees it. Its calls are bounded in time.
type Ledger interface {
	// Pending lists what a replica has not confirmed, a page at a time. It begins, and ends, with the cursor "".
	Pending(replica string, after ledger.Cursor, limit int) (entries []ledger.Entry, next ledger.Cursor, err error)
	Get(ledger.Reference) (e ledger.Entry, known bool, err error)
	// Tagged lists up to limit live tags that name a digest.
	Tagged(repository, digest string, limit int) ([]ledger.Entry, error)
	// Confirm changes nothing if the ledger has a later write than the entry.
	Confirm(e ledger.Entry, replica string) error
}
