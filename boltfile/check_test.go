package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"pgregory.net/rapid"
)

// written is a file with branches, leaves, small buckets and free pages.
func written(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.db")
	for round := range 3 {
		db, err := bolt.Open(path, 0o600, &bolt.Options{OpenFile: openFile})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("large"))
			for i := range 300 {
				err = errors.Join(err, b.Put(fmt.Appendf(nil, "key %d of %d", i, round), bytes.Repeat([]byte("v"), 60)))
			}
			_, small := b.CreateBucketIfNotExists([]byte("small"))
			return errors.Join(err, small)
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Whatever bytes change, bbolt can work with what is opened.
func TestDamage(t *testing.T) {
	intact := written(t)
	path := filepath.Join(t.TempDir(), "file.db")
	opened, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		damaged := bytes.Clone(intact)
		for range rapid.IntRange(0, 3).Draw(t, "flips") {
			at := rapid.OneOf(rapid.IntRange(0, 95), rapid.IntRange(0, 4095)).Draw(t, "at") // headers are what hurts
			damaged[rapid.IntRange(0, len(damaged)/4096-1).Draw(t, "page")*4096+at] = rapid.Byte().Draw(t, "byte")
		}
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(path, 0o600, &bolt.Options{OpenFile: openFile, NoSync: true})
		if errors.Is(err, ErrIntegrity) {
			refused++
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		opened++
		err = db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("large"))
			if err != nil {
				return err
			}
			for key, value := b.Cursor().First(); key != nil && value != nil && err == nil; key,
				value = b.Cursor().First() {
				err = b.Delete(key)
			}
			return errors.Join(err, b.Put([]byte("key"), nil))
		})
		if errors.Is(err, berrors.ErrIncompatibleValue) {
			err = nil // a bucket became a value: whoever opens a ledger is told so
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%d opened, %d refused", opened, refused)
	if opened == 0 || refused == 0 {
		t.Error("the test damages nothing, or everything")
	}
}

// TestWhatBboltDoesNotSee is the reason for a check of our own: a page whose first key is not the one that the branch
// has for it passes bbolt's Check and can be read, and is a panic once it is written to. When bbolt sees that, its
// Check may take our place.
func TestWhatBboltDoesNotSee(t *testing.T) {
	data := written(t)
	spoilt := false
	for page := 2 * 4096; page < len(data) && !spoilt; page += 4096 {
		first := data[page+pageHeader:]
		key := first[order.Uint32(first[4:]):]
		if order.Uint16(data[page+8:]) == flagLeaf && bytes.HasPrefix(key, []byte("key 2")) {
			order.PutUint32(first[8:], order.Uint32(first[8:])+1) // the key takes a byte of its value
			order.PutUint32(first[12:], order.Uint32(first[12:])-1)
			spoilt = true
		}
	}
	path := filepath.Join(t.TempDir(), "file.db")
	if err := os.WriteFile(path, data, 0o600); err != nil || !spoilt {
		t.Fatal(spoilt, err)
	}
	if file, err := openFile(path, os.O_RDWR, 0); !errors.Is(err, ErrIntegrity) {
		file.Close()
		t.Fatal("we do not see it either")
	}
	for range 50 { // in which order bbolt visits pages is chance, and it panics in most
		must(t, os.WriteFile(path, data, 0o600))
		if panics(t, path) {
			return
		}
		path += "-again" // the last one may be locked for ever
	}
	t.Error("bbolt can write it")
}

// panics says whether bbolt, which sees nothing wrong with a file, panics when all in it is deleted.
func panics(t *testing.T, path string) (panicked bool) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	must(t, err)
	must(t, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		return nil
	}))
	defer func() { panicked = recover() != nil }()
	_ = db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("large"))
		var err error
		for key, value := b.Cursor().First(); value != nil && err == nil; key, value = b.Cursor().First() {
			err = b.Delete(key)
		}
		return err
	})
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.db")
	first, err := openFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openFile(path, os.O_RDWR, 0o600); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	first.Close()
	if second, err := openFile(path, os.O_RDWR, 0o600); err != nil {
		t.Error(err)
	} else {
		second.Close()
	}
}

func TestOpenPutsAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.db")
	notes := func(make func(*bolt.Tx) error) func(*bolt.DB) error {
		return func(db *bolt.DB) error { return db.Update(make) }
	}
	db, err := Open(path, bolt.Options{}, notes(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("outer"))
		return errors.Join(err, b.Put([]byte("inner"), []byte("a value")))
	}))
	must(t, errors.Join(err, db.Close()))
	_, err = Open(path, bolt.Options{}, notes(func(tx *bolt.Tx) error {
		_, err := tx.Bucket([]byte("outer")).CreateBucketIfNotExists([]byte("inner"))
		return err
	}))
	if !errors.Is(err, ErrDamaged) {
		t.Error("a value in the place of a bucket: ", err)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}
