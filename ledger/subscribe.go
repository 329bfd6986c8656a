package ledger

// Change is what a ledger has just accepted.
type Change struct {
	Entries []Entry // of a deletion first what was asked for, then the tags that went with it
	Here    bool    // written here; else learned from another gateway
}

// Subscribe has tell called with every change: a push (also by PushOver), a deletion, and what was learned from another
// gateway. It is not told of what was found, which whoever found it tells once it is confirmed, nor of confirmations
// made here; those that others made are part of what is learned.
//
// It is called once the change is durable, in the goroutine of whoever made it and before that call returns, with no
// lock held, in the order of subscription. It must not keep that call waiting, and must not change the entries. Calls
// for different changes may run at the same time, and overtake each other: the ledger has what holds now. A write that
// the caller was told is ErrUnavailable may be durable all the same, and nobody is told of it.
//
// Subscribe is called before anything is written.
func (l *Ledger) Subscribe(tell func(Change)) { l.subscribers = append(l.subscribers, tell) }

// publish tells all subscribers of a change, if it is one.
func (l *Ledger) publish(c Change) {
	if len(c.Entries) == 0 {
		return
	}
	for _, tell := range l.subscribers {
		tell(c)
	}
}
