package webhook

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A queue has four buckets and a number. All that is said of a delivery is in one of the first two.
var (
	bucketPending = []byte("pending") // by number, in the order of publication
	bucketEnded   = []byte("ended")   // by a number of its own, in the order in which they ended
	bucketDue     = []byte("due")     // keys alone: when a pending one is due, and its number
	bucketIDs     = []byte("ids")     // keys alone: the events that are in one of the first two
	keyCount      = []byte("count")   // how many are pending
)

// queue is one webhook's, within a transaction.
type queue struct{ total, root, pending, ended, due, ids *bolt.Bucket }

// queueOf is nil for a webhook that is gone.
func queueOf(tx *bolt.Tx, key string) *queue {
	b := tx.Bucket(bucketQueues).Bucket([]byte(key))
	if b == nil {
		return nil
	}
	return &queue{tx.Bucket(bucketTotal), b, b.Bucket(bucketPending), b.Bucket(bucketEnded), b.Bucket(bucketDue),
		b.Bucket(bucketIDs)}
}

func makeQueue(tx *bolt.Tx, key string) error {
	root, err := tx.Bucket(bucketQueues).CreateBucketIfNotExists([]byte(key))
	if err != nil {
		return err
	}
	for _, name := range [][]byte{bucketPending, bucketEnded, bucketDue, bucketIDs} {
		if _, err := root.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

func removeQueue(tx *bolt.Tx, key string) error {
	q := queueOf(tx, key)
	if q == nil {
		return nil
	}
	return errors.Join(q.addToCount(-countOf(q.root)), tx.Bucket(bucketQueues).DeleteBucket([]byte(key)))
}

// countOf is what a queue, or the total, says.
func countOf(b *bolt.Bucket) int64 {
	if n := b.Get(keyCount); n != nil {
		return int64(binary.BigEndian.Uint64(n))
	}
	return 0
}

// addToCount changes how many are pending, here and in all.
func (q *queue) addToCount(by int64) error {
	return errors.Join(
		q.root.Put(keyCount, numberKey(uint64(countOf(q.root)+by))),
		q.total.Put(keyCount, numberKey(uint64(countOf(q.total)+by))))
}

// add appends a delivery that is due when it says.
func (q *queue) add(n uint64, d Delivery) error {
	return errors.Join(
		q.ids.Put([]byte(d.ID), nil),
		q.addToCount(1),
		q.savePending(n, d))
}

// savePending writes a pending delivery, which is not in the order of what is due.
func (q *queue) savePending(n uint64, d Delivery) error {
	value, err := encode(d)
	if err != nil {
		return err
	}
	return errors.Join(q.pending.Put(numberKey(n), value), q.due.Put(dueKey(d.Next, n), nil))
}

func (q *queue) loadPending(n uint64) (d Delivery, ok bool, err error) {
	value := q.pending.Get(numberKey(n))
	if value == nil {
		return d, false, nil
	}
	return d, true, json.Unmarshal(value, &d)
}

// end moves a delivery that was due at that time into the log. The log's oldest goes for it.
func (q *queue) end(n uint64, was time.Time, d Delivery, maxLogged uint64) error {
	at, err := q.ended.NextSequence()
	if err != nil {
		return err
	}
	value, err := encode(d)
	if err != nil {
		return err
	}
	err = errors.Join(
		q.pending.Delete(numberKey(n)),
		q.due.Delete(dueKey(was, n)),
		q.addToCount(-1),
		q.ended.Put(numberKey(at), value))
	if err != nil || at <= maxLogged {
		return err
	}
	return q.forget(numberKey(at - maxLogged))
}

func (q *queue) forget(key []byte) error {
	value := q.ended.Get(key)
	if value == nil {
		return nil
	}
	var d Delivery
	if err := json.Unmarshal(value, &d); err != nil {
		return err
	}
	return errors.Join(q.ids.Delete([]byte(d.ID)), q.ended.Delete(key))
}

// dropped is a delivery that had to make room.
type dropped struct{ key, id string }

// publish queues one delivery for each of the webhooks that are still there and do not know the event.
func (s *store) publish(keys []string, d Delivery) (gone []dropped, err error) {
	err = s.db.Update(func(tx *bolt.Tx) error {
		for _, key := range keys {
			q := queueOf(tx, key)
			if q == nil || q.knows(d.ID) {
				continue
			}
			if countOf(q.total) >= s.maxPending {
				victim, err := s.makeRoom(tx)
				if err != nil {
					return err
				}
				gone = append(gone, victim)
			}
			// One count for all queues: a webhook that is made anew must not meet the numbers of its predecessor.
			n, err := tx.Bucket(bucketQueues).NextSequence()
			if err != nil {
				return err
			}
			if err := q.add(n, d); err != nil {
				return err
			}
		}
		return nil
	})
	return gone, err
}

func (q *queue) knows(id string) bool {
	key, _ := q.ids.Cursor().Seek([]byte(id))
	return string(key) == id
}

// makeRoom drops the oldest of the longest queue: who does not take what is sent loses first.
func (s *store) makeRoom(tx *bolt.Tx) (dropped, error) {
	var key string
	var most int64
	queues := tx.Bucket(bucketQueues)
	if err := queues.ForEachBucket(func(k []byte) error {
		if n := countOf(queues.Bucket(k)); n > most {
			key, most = string(k), n
		}
		return nil
	}); err != nil {
		return dropped{}, err
	}
	longest := queueOf(tx, key)
	first, value := longest.pending.Cursor().First()
	var d Delivery
	if err := json.Unmarshal(value, &d); err != nil {
		return dropped{}, err
	}
	was := d.Next
	d.State, d.Next = Dropped, time.Time{}
	return dropped{key, d.ID}, longest.end(binary.BigEndian.Uint64(first), was, d, s.maxLogged)
}

// numbered is a delivery with its number in its queue.
type numbered struct {
	n uint64
	Delivery
}

// due returns up to limit deliveries that are due and not skipped, the longest due first, and when the next one is; the
// zero time if there is none.
func (s *store) due(key string, now time.Time, limit int, skip map[uint64]bool) (list []numbered, next time.Time,
	err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		q := queueOf(tx, key)
		if q == nil {
			return nil
		}
		c := q.due.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			at, n := splitDueKey(k)
			if skip[n] {
				continue
			}
			// Nothing waits longer than maxWait: then the clock was set back.
			if at.After(now) && !at.After(now.Add(maxWait)) || len(list) == limit {
				next = at
				return nil
			}
			d, ok, err := q.loadPending(n)
			if err != nil {
				return err
			}
			if ok {
				list = append(list, numbered{n, d})
			}
		}
		return nil
	})
	return list, next, err
}

// attempted keeps what came of an attempt, and reports whether the delivery was still there: one that went away
// meanwhile stays away.
func (s *store) attempted(key string, d numbered) (there bool, err error) {
	err = s.db.Update(func(tx *bolt.Tx) error {
		q := queueOf(tx, key)
		if q == nil {
			return nil
		}
		old, ok, err := q.loadPending(d.n)
		if there = ok; err != nil || !ok {
			return err
		}
		if d.State != Pending {
			return q.end(d.n, old.Next, d.Delivery, s.maxLogged)
		}
		if err := q.due.Delete(dueKey(old.Next, d.n)); err != nil {
			return err
		}
		return q.savePending(d.n, d.Delivery)
	})
	return there, err
}

// list has the pending and the ended ones, each the newest first and at most maxLogged.
func (s *store) list(key string) (list []Delivery, err error) {
	list = []Delivery{}
	err = s.db.View(func(tx *bolt.Tx) error {
		q := queueOf(tx, key)
		if q == nil {
			return nil
		}
		for _, b := range []*bolt.Bucket{q.pending, q.ended} {
			c := b.Cursor()
			left := s.maxLogged
			for k, value := c.Last(); k != nil && left > 0; k, value = c.Prev() {
				var d Delivery
				if err := json.Unmarshal(value, &d); err != nil {
					return err
				}
				list = append(list, d)
				left--
			}
		}
		return nil
	})
	return list, err
}

func (s *store) pending() (total int64) {
	// Fails only when closed: then nothing is pending.
	_ = s.db.View(func(tx *bolt.Tx) error {
		total = countOf(tx.Bucket(bucketTotal))
		return nil
	})
	return total
}
