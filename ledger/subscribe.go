package ledger

// Subscribe has tell called with every entry that this ledger accepts: a push (also by PushOver), a deletion (with the
// tags that went with a digest), what was found, and what was merged from another gateway. Confirmations made here are
// not told of; those that others made are among what is merged.
//
// It is called once the change is durable, in the goroutine of whoever made it and before that call returns, with no
// lock held, in the order of subscription. It must not keep that call waiting, and must not change the entries. Calls
// for different changes may run at the same time, and overtake each other: the ledger has what holds now. A write that
// the caller was told is ErrUnavailable may be durable all the same, and nobody is told of it.
//
// Subscribe is called before anything is written.
func (l *Ledger) Subscribe(tell func([]Entry)) { l.subscribers = append(l.subscribers, tell) }

// publish tells all subscribers of entries, if there are any.
func (l *Ledger) publish(entries ...Entry) {
	if len(entries) == 0 {
		return
	}
	for _, tell := range l.subscribers {
		tell(entries)
	}
}
