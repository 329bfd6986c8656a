package ledger

import (
	"encoding/binary"
	"time"
)

// compactStep bounds what is looked at in one flush, so that no push waits long.
const compactStep = 500

// Compact removes tombstones that are older than retention and that all replicas have confirmed. A gateway that was
// away for longer than retention may not have heard of them, and has to begin with a new file.
func (l *Ledger) Compact(retention time.Duration) (removed int, err error) {
	before := l.now().Add(-retention).UnixMilli()
	for after, done := "", false; !done; {
		count := 0
		err := l.submit(func(t *tx) (err error) {
			after, count, done, err = t.compact(before, after)
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += count
	}
	return removed, nil
}

func (t *tx) compact(before int64, after string) (last string, removed int, done bool, err error) {
	keys := t.keys(bucketOld, "", after, compactStep)
	for _, k := range keys {
		if int64(binary.BigEndian.Uint64([]byte(k[:8]))) >= before {
			return k, removed, true, nil
		}
		if row, ok := t.row(k[8:]); ok && row.finished(t.fleet) {
			if err := t.replace(row, Row{}); err != nil {
				return k, removed, true, err
			}
			removed++
		}
		after = k
	}
	return after, removed, len(keys) < compactStep, nil
}
