package ledger

import (
	"encoding/binary"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// newTx is with the fleet of this moment.
func newTx(b *bolt.Tx, l *Ledger) *tx { return &tx{Tx: b, l: l, fleet: l.fleet.Load()} }

// tx is one look at the file, or the change of it that one flush makes durable.
type tx struct {
	*bolt.Tx
	l       *Ledger
	fleet   *fleet
	changed bool
	renewed bool // a replica was
	set     bool // a setting was
}

func (t *tx) bucket(name string) *bolt.Bucket { return t.Bucket([]byte(name)) }

func (t *tx) putKey(bucket, key string, value []byte) error {
	t.changed = true
	return t.bucket(bucket).Put([]byte(key), value)
}

func (t *tx) deleteKey(bucket, key string) error {
	t.changed = true
	return t.bucket(bucket).Delete([]byte(key))
}

// row is what is known of a reference. What cannot be read counts as unknown, and is overwritten by what comes next.
func (t *tx) row(key string) (Row, bool) {
	data := t.bucket(bucketEntries).Get([]byte(key))
	if data == nil {
		return Row{}, false
	}
	r, err := decodeRow(data)
	return t.fleet.holding(r), err == nil && r.key() == key
}

// replace keeps the indexes in step with a row. Rows without a reference stand for none.
func (t *tx) replace(old, row Row) error {
	before, after := t.indexKeys(old), t.indexKeys(row)
	for _, k := range before {
		if !slices.Contains(after, k) {
			if err := t.deleteKey(k.bucket, k.key); err != nil {
				return err
			}
		}
	}
	for _, k := range after {
		if !slices.Contains(before, k) {
			if err := t.putKey(k.bucket, k.key, nil); err != nil {
				return err
			}
		}
	}
	if row.Name == "" {
		return t.deleteKey(bucketEntries, old.key())
	}
	return t.putKey(bucketEntries, row.key(), row.encode())
}

func (t *tx) indexKeys(r Row) []indexKey {
	if r.Name == "" {
		return nil
	}
	return indexed(r, t.fleet)
}

func (t *tx) origin() string { return string(t.bucket(bucketMeta).Get([]byte(keyOrigin))) }

// known is the number of an origin's last change that we have with all before it.
func (t *tx) known(origin string) uint64 {
	if v := t.bucket(bucketVector).Get([]byte(origin)); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// change numbers a change of ours.
func (t *tx) change() (origin string, n uint64, err error) {
	origin = t.origin()
	n = t.known(origin) + 1
	return origin, n, t.putKey(bucketVector, origin, []byte(number(n)))
}

// keys are up to limit keys after one of them that begin with a prefix.
func (t *tx) keys(bucket, prefix, after string, limit int) []string {
	var keys []string
	c := t.bucket(bucket).Cursor()
	k, _ := c.Seek([]byte(max(prefix, after)))
	for ; k != nil && len(keys) < limit && strings.HasPrefix(string(k), prefix); k, _ = c.Next() {
		if string(k) != after {
			keys = append(keys, string(k))
		}
	}
	return keys
}

// scan visits up to limit rows after a key, and returns the last one's.
func (t *tx) scan(after string, limit int, visit func(Row)) (last string, done bool) {
	keys := t.keys(bucketEntries, "", after, limit)
	for _, k := range keys {
		after = k
		if r, ok := t.row(k); ok {
			visit(r)
		}
	}
	return after, len(keys) < limit
}
