package webhook

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// fileName is the store's file in the state directory.
const fileName = "webhooks.db"

// The file has three buckets.
var (
	bucketSubscriptions = []byte("subscriptions") // those that commands made, by key
	bucketQueues        = []byte("queues")        // one for each webhook, by key
	bucketTotal         = []byte("total")         // of what is pending in all queues
)

// store is what must outlive the process. Every write is on disk when its method returns.
type store struct {
	// Static after openStore.
	db         *bolt.DB
	maxPending int64
	maxLogged  uint64
}

func openStore(dir string, maxPending int64, maxLogged uint64) (*store, error) {
	s := &store{maxPending: maxPending, maxLogged: maxLogged}
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "fairlead-webhooks-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir) // an open file needs no name, and so a process that is killed leaves nothing behind
	}
	if err := s.open(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Join(dir, fileName), err), s.close())
	}
	return s, nil
}

func (s *store) open(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil { // it holds secrets of receivers
		return err
	}
	db, err := openChecked(filepath.Join(dir, fileName))
	if err != nil {
		return err
	}
	s.db = db
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketSubscriptions, bucketQueues, bucketTotal} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *store) close() error {
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

func (s *store) subscriptions() (list []subscription.Subscription, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSubscriptions).ForEach(func(_, value []byte) error {
			var sub subscription.Subscription
			err := json.Unmarshal(value, &sub)
			list = append(list, sub)
			return err
		})
	})
	return list, err
}

// saveSubscription keeps a subscription, and makes its queue if it has none.
func (s *store) saveSubscription(key string, sub subscription.Subscription) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		value, err := encode(sub)
		if err != nil {
			return err
		}
		if err := tx.Bucket(bucketSubscriptions).Put([]byte(key), value); err != nil {
			return err
		}
		return makeQueue(tx, key)
	})
}

// removeSubscription takes a subscription away, with its queue and its log.
func (s *store) removeSubscription(key string) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		if err := tx.Bucket(bucketSubscriptions).Delete([]byte(key)); err != nil {
			return err
		}
		return removeQueue(tx, key)
	})
}

// reconcileQueues makes the file's subscriptions and the store agree: those have a queue and nothing else here, and a
// queue that belongs to nobody any more goes.
func (s *store) reconcileQueues(inFile []string, belongs func(key string) bool) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, key := range inFile {
			if err := tx.Bucket(bucketSubscriptions).Delete([]byte(key)); err != nil {
				return err
			}
			if err := makeQueue(tx, key); err != nil {
				return err
			}
		}
		var orphans []string
		err := tx.Bucket(bucketQueues).ForEachBucket(func(key []byte) error {
			if !belongs(string(key)) {
				orphans = append(orphans, string(key))
			}
			return nil
		})
		for _, key := range orphans {
			err = errors.Join(err, removeQueue(tx, key))
		}
		return err
	})
}

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// dueKey sorts by time, then by number. Times before 1970 would sort last; nothing is due then.
func dueKey(at time.Time, n uint64) []byte {
	return append(numberKey(uint64(max(at.UnixNano(), 0))), numberKey(n)...)
}

func splitDueKey(key []byte) (at time.Time, n uint64) {
	return time.Unix(0, int64(binary.BigEndian.Uint64(key))), binary.BigEndian.Uint64(key[8:])
}
