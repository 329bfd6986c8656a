package webhook

import (
	"encoding/json"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/fairlead-gateway/fairlead/boltfile"
	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// ErrDamaged is returned by Open when it found a file that nothing should be written to, and has moved it aside.
// Opening again makes a new one.
var ErrDamaged = boltfile.ErrDamaged

// openChecked opens a file only if all of it can be read and is what we write: later, in the middle of a request, the
// database would panic or fault where it is not.
func openChecked(path string) (*bolt.DB, error) {
	return boltfile.Open(path, bolt.Options{}, func(db *bolt.DB) error {
		if err := db.View(checkIntegrity); err != nil {
			return fmt.Errorf("%w: %w", boltfile.ErrIntegrity, err)
		}
		return nil
	})
}

func checkIntegrity(tx *bolt.Tx) error {
	subscriptions, queues, total := tx.Bucket(bucketSubscriptions), tx.Bucket(bucketQueues), tx.Bucket(bucketTotal)
	if subscriptions == nil && queues == nil && total == nil {
		return nil // new
	}
	if subscriptions == nil || queues == nil || total == nil {
		return errors.New("a part is missing")
	}
	return errors.Join(eachOf(subscriptions, 0, &subscription.Subscription{}), checkQueues(tx, queues, total))
}

func checkQueues(tx *bolt.Tx, queues, total *bolt.Bucket) error {
	var pending int64
	err := queues.ForEach(func(key, _ []byte) error {
		root := queues.Bucket(key)
		if root == nil {
			return errors.New("a queue is none")
		}
		q := queueOf(tx, string(key))
		if q.pending == nil || q.ended == nil || q.due == nil || q.ids == nil {
			return errors.New("a part of a queue is missing")
		}
		if count := root.Get(keyCount); count != nil && len(count) != 8 ||
			countOf(root) != int64(q.pending.Stats().KeyN) {
			return errors.New("a queue's count is wrong")
		}
		pending += countOf(root)
		return errors.Join(eachOf(q.pending, 8, &Delivery{}), eachOf(q.ended, 8, &Delivery{}), eachOf(q.due, 16, nil),
			eachOf(q.ids, 0, nil))
	})
	if count := total.Get(keyCount); err == nil && (count != nil && len(count) != 8 || countOf(total) != pending) {
		err = errors.New("the total is wrong")
	}
	return err
}

// eachOf reads all of a bucket. size is what its keys must have, 0 any; into is what its values must be, nil nothing.
func eachOf(b *bolt.Bucket, size int, into any) error {
	return b.ForEach(func(key, value []byte) error {
		if size != 0 && len(key) != size {
			return errors.New("a key is none")
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(value, into)
	})
}
