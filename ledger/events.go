package ledger

import (
	"encoding/binary"
	"encoding/json"
	"strings"
)

// Kind is what an event says to have happened.
type Kind string

// The closed set of kinds.
const (
	Pushed    Kind = "pushed"
	Deleted   Kind = "deleted"
	Confirmed Kind = "confirmed"
)

// Event is something that was recorded here, not merged from another gateway. Of a write of two names there is one.
type Event struct {
	Number  uint64
	Kind    Kind
	Entry   Entry
	Replica string  // that accepted or confirmed it
	Request Request // that asked for it; empty where nobody did
	WallMS  int64   // when it was recorded, by our own clock
}

// Request is what is remembered of a client's request. None of it has been checked. It is cut to maxClientField bytes a
// field.
type Request struct {
	Host      string `json:"h,omitempty"`
	Method    string `json:"m,omitempty"`
	UserAgent string `json:"u,omitempty"`
}

const maxClientField = 256

func (r Request) cut() Request {
	clip := func(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxClientField)], "") }
	return Request{clip(r.Host), clip(r.Method), clip(r.UserAgent)}
}

// Conflict is a write that lost to a later one whose writer did not know of it.
type Conflict struct {
	Number        uint64
	Winner, Loser Entry
	WallMS        int64 // when it was found, by our own clock
}

// The oldest go when there are more.
const (
	maxEvents    = 65_536
	maxConflicts = 1000
)

type wireEvent struct {
	Kind    Kind    `json:"k"`
	Entry   Row     `json:"e"`
	Replica string  `json:"p"`
	Request Request `json:"q,omitzero"`
	WallMS  int64   `json:"t"`
}

type wireConflict struct {
	Winner Row   `json:"w"`
	Loser  Row   `json:"l"`
	WallMS int64 `json:"t"`
}

func (t *tx) event(e Event) error {
	if e.Entry.Implied || IsFound(e.Entry.Stamp) { // what was found nobody pushed
		return nil
	}
	w := wireEvent{e.Kind, Row{Entry: e.Entry}, e.Replica, e.Request.cut(), t.l.now().UnixMilli()}
	return t.log(bucketEvents, w, maxEvents)
}

// conflict notes one, and how many that is: it may have been told of before, by others as well.
func (t *tx) conflict(loser, winner Entry) (found int, err error) {
	known := false
	logged(t, bucketConflicts, 0, maxConflicts, func(_ uint64, w wireConflict) {
		known = known || w.Winner.Reference == winner.Reference &&
			w.Winner.Stamp == winner.Stamp && w.Loser.Stamp == loser.Stamp
	})
	if known {
		return 0, nil
	}
	w := wireConflict{Row{Entry: winner}, Row{Entry: loser}, t.l.now().UnixMilli()}
	return 1, t.log(bucketConflicts, w, maxConflicts)
}

// log appends to a numbered list, which it keeps to the last most.
func (t *tx) log(bucket string, v any, most uint64) error {
	n, err := t.bucket(bucket).NextSequence()
	if err != nil {
		return err
	}
	if n > most {
		if err := t.deleteKey(bucket, number(n-most)); err != nil {
			return err
		}
	}
	return t.putKey(bucket, number(n), marshal(v))
}

// logged reads up to limit of a numbered list after one of its numbers. What cannot be read is left out.
func logged[W any](t *tx, bucket string, after uint64, limit int, visit func(n uint64, w W)) {
	for _, k := range t.keys(bucket, "", number(after), atMost(limit)) {
		var w W
		if json.Unmarshal(t.bucket(bucket).Get([]byte(k)), &w) == nil {
			visit(binary.BigEndian.Uint64([]byte(k)), w)
		}
	}
}

// Events lists what came after the event with that number, by number. Numbers that are missing were trimmed, or were
// too many.
func (l *Ledger) Events(after uint64, limit int) (events []Event, err error) {
	err = l.read(func(t *tx) {
		logged(t, bucketEvents, after, limit, func(n uint64, w wireEvent) {
			events = append(events, Event{n, w.Kind, t.fleet.entry(t.fleet.holding(w.Entry)), w.Replica, w.Request, w.WallMS})
		})
	})
	return events, err
}

// Trim remembers that the events up to a number were read, and forgets some. The others stay until there are too many.
func (l *Ledger) Trim(read uint64, forget []uint64) error {
	return l.submit(func(t *tx) error {
		for _, n := range forget {
			if err := t.deleteKey(bucketEvents, number(n)); err != nil {
				return err
			}
		}
		return t.putKey(bucketMeta, keyRead, []byte(number(read)))
	})
}

// Read is the number of the last event that was read.
func (l *Ledger) Read() (n uint64, err error) {
	err = l.read(func(t *tx) {
		if v := t.bucket(bucketMeta).Get([]byte(keyRead)); len(v) == 8 {
			n = binary.BigEndian.Uint64(v)
		}
	})
	return n, err
}

// Conflicts lists the conflicts after that number, and tells how many there have been in all.
func (l *Ledger) Conflicts(after uint64, limit int) (conflicts []Conflict, total uint64, err error) {
	err = l.read(func(t *tx) {
		total = t.bucket(bucketConflicts).Sequence()
		logged(t, bucketConflicts, after, limit, func(n uint64, w wireConflict) {
			conflicts = append(conflicts, Conflict{
				n, t.fleet.entry(t.fleet.holding(w.Winner)), t.fleet.entry(t.fleet.holding(w.Loser)), w.WallMS,
			})
		})
	})
	return conflicts, total, err
}
