package ledger

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/fairlead-gateway/fairlead/boltfile"
	"github.com/fairlead-gateway/fairlead/hlc"
)

const (
	fileName = "ledger.db"

	// maxFile bounds the file, at some 1.5 KB a reference. So much of the address space is mapped from the start:
	// mapping more later would make writes wait for reads, and reads for them.
	maxFile = min(4<<30, math.MaxInt)

	maxReplicas = 512 // as many as a file may have, and as many that leave

	fileVersion = "1"
	keyVersion  = "version"
	keyOrigin   = "origin"
	keyClock    = "clock"
	keyRead     = "read" // number of the last event that was read
	keyProbe    = "probe"
	keyReplicas = "replicas" // holders whose pending entries are indexed; empty while the index is being made
	keyIndexing = "indexing" // there while the index may have more than it should
	keyFirst    = "first"    // by replica, the holder that rows mean which have the name alone
)

// Open opens the ledger in dir, which it makes; an empty dir is a temporary one. Only one process has a ledger open at
// a time. Replicas are those that Pending is asked about, and whose
// confirmations count (see Update). What cannot be opened now is opened as soon as it can be;
// what is damaged is moved aside, and a new one begun. The log says so. An error is one of the arguments.
func Open(dir, member string, replicas []Replica, now func() time.Time, log *slog.Logger) (*Ledger, error) {
	l, err := newLedger(dir, member, replicas, now, log)
	if err != nil {
		return nil, err
	}
	l.tryOpen()
	go l.write()
	return l, nil
}

func newLedger(dir, member string, replicas []Replica, now func() time.Time, log *slog.Logger) (*Ledger, error) {
	if !validText(member, maxMember) {
		return nil, fmt.Errorf("%w: member %.300q", ErrInvalid, member)
	}
	if err := checkReplicas(replicas); err != nil {
		return nil, err
	}
	temporary := ""
	if dir == "" {
		temporary = filepath.Join(os.TempDir(), "fairlead-ledger-"+rand.Text())
		dir = temporary
	}
	l := &Ledger{
		path: filepath.Join(dir, fileName), temporary: temporary, member: member,
		now: now, log: log, reindex: make(chan struct{}, 1), unkept: map[string]int{},
		patience: patience, clock: hlc.Clock{Member: member},
		writes: make(chan write), stop: make(chan struct{}), stopped: make(chan struct{}),
		settings: make(settingsChanged, 1),
	}
	l.fleet.Store(newFleet(replicas, nil, nil))
	l.changed.Store(new(make(chan struct{})))
	return l, nil
}

// tryOpen is called by whoever writes.
func (l *Ledger) tryOpen() {
	db, err := l.open()
	if errors.Is(err, boltfile.ErrDamaged) {
		l.log.Error("the ledger begins anew; other gateways may know what is lost", "error", err)
		db, err = l.open()
	}
	if err == nil {
		l.mu.Lock()
		l.db = db
		l.mu.Unlock()
		l.settings.tell()
	}
	l.note(err)
}

func (l *Ledger) open() (db *bolt.DB, err error) {
	dir := filepath.Dir(l.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	db, err = boltfile.Open(l.path, bolt.Options{
		FreelistType: bolt.FreelistMapType, InitialMmapSize: maxFile, MaxSize: maxFile, NoStatistics: true,
	}, l.prepare)
	if err == nil {
		return db, nil
	}
	if l.temporary != "" && !errors.Is(err, boltfile.ErrDamaged) {
		err = errors.Join(err, os.RemoveAll(l.temporary))
	}
	return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, l.path, err)
}

// syncDir makes the name of a new file as durable as what is in it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// prepare reads what the writing goroutine goes on from, and makes what a new file lacks. A file that lacks nothing is
// not written to: it can be read though its disk is full, and a start does not wait for the disk.
func (l *Ledger) prepare(db *bolt.DB) error {
	ready := false
	if err := db.View(func(b *bolt.Tx) (err error) { ready, err = l.recall(b); return err }); err != nil || ready {
		return err
	}
	if err := syncDir(filepath.Dir(l.path)); err != nil {
		return err
	}
	if err := db.Update(func(b *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := b.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		meta := b.Bucket([]byte(bucketMeta))
		if meta.Get([]byte(keyVersion)) == nil {
			if err := errors.Join(
				meta.Put([]byte(keyVersion), []byte(fileVersion)),
				meta.Put([]byte(keyOrigin), []byte(newOrigin(l.member))),
			); err != nil {
				return err
			}
		}
		if err := b.DeleteBucket([]byte(bucketPending)); err != nil { // the index is made anew
			return err
		}
		_, err := b.CreateBucket([]byte(bucketPending))
		return errors.Join(err, meta.Delete([]byte(keyReplicas)))
	}); err != nil {
		return err
	}
	return l.indexPending(db)
}

// recall reports whether the file lacks nothing.
func (l *Ledger) recall(b *bolt.Tx) (ready bool, err error) {
	meta := b.Bucket([]byte(bucketMeta))
	if meta == nil || meta.Get([]byte(keyVersion)) == nil {
		return false, nil
	}
	if v := meta.Get([]byte(keyVersion)); string(v) != fileVersion {
		return false, fmt.Errorf("it is of version %.20q, this program knows %s", v, fileVersion)
	}
	if last := meta.Get([]byte(keyClock)); last != nil {
		if err := json.Unmarshal(last, &l.clock.Last); err != nil {
			return false, fmt.Errorf("%w: its clock: %w", boltfile.ErrIntegrity, err)
		}
	}
	for _, name := range buckets {
		if b.Bucket([]byte(name)) == nil {
			return false, nil
		}
	}
	first := firstIn(meta.Get([]byte(keyFirst)))
	renewed := newTx(b, l).renewals()
	l.changeFleet(func(f *fleet) *fleet { return newFleet(f.replicas, first, renewed) })
	have, want := indexedIn(meta), l.fleet.Load().sorted
	if ready = have != nil && slices.Equal(have, want) && meta.Get([]byte(keyIndexing)) == nil && maps.Equal(first, l.fleet.Load().first); ready {
		l.indexed.Store(&want)
	}
	return ready, nil
}

// indexPending makes the index of pending entries in steps that fit in memory.
func (l *Ledger) indexPending(db *bolt.DB) error {
	const step = 10_000
	want := l.fleet.Load()
	for after, done := "", false; !done; {
		if err := db.Update(func(b *bolt.Tx) error {
			t := newTx(b, l)
			var rows []Row
			after, done = t.scan(after, step, func(r Row) { rows = append(rows, r) })
			if err := t.indexPending(rows); err != nil || !done {
				return err
			}
			return t.saveIndexed(want, want.sorted, false)
		}); err != nil {
			return err
		}
	}
	holders := want.sorted
	l.indexed.Store(&holders)
	return nil
}

const maxOrigin = maxMember + 1 + 16

// newOrigin names a file: one that was lost and made anew counts its changes anew.
func newOrigin(member string) string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return member + "/" + hex.EncodeToString(id[:])
}
