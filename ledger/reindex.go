package ledger

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// indexStep bounds what is indexed in one flush, so that no push waits long.
const indexStep = 500

// keepIndexed brings the index of pending entries in step with the fleet, until the ledger is closed.
func (l *Ledger) keepIndexed() {
	for {
		select {
		case <-l.stop:
			return
		case <-l.reindex:
		}
		for l.index() != nil { // it says so by itself
			wait := time.NewTimer(tryEvery)
			select {
			case <-l.stop:
				wait.Stop()
				return
			case <-wait.C:
			}
		}
	}
}

// index forgets the pending entries of holders that are gone, and finds those of new ones. Meanwhile writes keep the
// index as if it were complete. If the fleet changes again it is begun anew.
func (l *Ledger) index() error {
	l.fleetMu.Lock()
	f, unkept := l.fleet.Load(), maps.Clone(l.unkept)
	l.fleetMu.Unlock()
	done, saved := []string(nil), false
	if err := l.read(func(t *tx) {
		meta := t.bucket(bucketMeta)
		done = indexedIn(meta)
		saved = meta.Get([]byte(keyIndexing)) == nil && maps.Equal(firstIn(meta.Get([]byte(keyFirst))), f.first)
	}); err != nil {
		return err
	}
	done = slices.DeleteFunc(done, func(holder string) bool { return unkept[holder] > 0 })
	want := f.sorted
	if saved && len(unkept) == 0 && slices.Equal(done, want) {
		l.indexed.Store(&want)
		return nil
	}
	kept := slices.DeleteFunc(slices.Clone(done), func(holder string) bool { return !slices.Contains(want, holder) })
	l.indexed.Store(&kept)
	if err := l.submit(func(t *tx) error { return t.saveIndexed(f, kept, true) }); err != nil {
		return err
	}
	l.fleetMu.Lock()
	maps.DeleteFunc(l.unkept, func(holder string, times int) bool { return unkept[holder] == times })
	l.fleetMu.Unlock()
	if err := l.inSteps(func(t *tx, after string) (string, bool, error) { return t.unindex(kept, after) }); err != nil {
		return err
	}
	if len(kept) < len(want) {
		if err := l.inSteps((*tx).indexSome); err != nil {
			return err
		}
	}
	if l.fleet.Load() != f {
		return nil // it is called again
	}
	err := l.submit(func(t *tx) error { return t.saveIndexed(f, want, false) })
	if err == nil {
		l.indexed.Store(&want)
	}
	return err
}

// inSteps calls step with where the one before ended, each time in a flush that others share, until it is done.
func (l *Ledger) inSteps(step func(t *tx, after string) (last string, done bool, err error)) error {
	for after, done := "", false; !done; {
		if err := l.submit(func(t *tx) (err error) {
			after, done, err = step(t, after)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// unindex deletes the pending entries of all but some holders.
func (t *tx) unindex(kept []string, after string) (last string, done bool, err error) {
	keys := t.keys(bucketPending, "", after, indexStep)
	for _, k := range keys {
		after = k
		holder, _, _ := strings.Cut(k, separator)
		if slices.Contains(kept, holder) {
			return holder + separator + "\xff", false, nil // behind all of its own
		}
		if err := t.deleteKey(bucketPending, k); err != nil {
			return after, true, err
		}
	}
	return after, len(keys) < indexStep, nil
}

// indexSome adds what the index lacks of some rows.
func (t *tx) indexSome(after string) (last string, done bool, err error) {
	var rows []Row
	last, done = t.scan(after, indexStep, func(r Row) { rows = append(rows, r) })
	return last, done, t.indexPending(rows)
}

func (t *tx) indexPending(rows []Row) error {
	for _, r := range rows {
		for _, k := range indexed(r, t.fleet) {
			if k.bucket != bucketPending || t.bucket(bucketPending).Get([]byte(k.key)) != nil {
				continue
			}
			if err := t.putKey(k.bucket, k.key, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// indexedIn are the holders whose pending entries are all in the index.
func indexedIn(meta *bolt.Bucket) (holders []string) {
	_ = json.Unmarshal(meta.Get([]byte(keyReplicas)), &holders) // none: the index was not finished
	return holders
}

func (t *tx) saveIndexed(f *fleet, holders []string, more bool) error {
	mark := t.deleteKey
	if more {
		mark = func(bucket, key string) error { return t.putKey(bucket, key, []byte{1}) }
	}
	if err := mark(bucketMeta, keyIndexing); err != nil {
		return err
	}
	if err := t.putKey(bucketMeta, keyFirst, marshal(f.first)); err != nil {
		return err
	}
	return t.putKey(bucketMeta, keyReplicas, marshal(append([]string{}, holders...)))
}
