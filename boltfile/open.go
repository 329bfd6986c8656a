// Package boltfile opens files for bbolt that nothing will be found wrong with later.
package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	lockWait = 2 * time.Second // for a predecessor that is stopping
	lockTry  = 50 * time.Millisecond
)

var (
	// ErrIntegrity is what prepare returns, too, for a file that does not hold what was written to it.
	ErrIntegrity = errors.New("it fails the integrity check")
	// ErrDamaged is returned by Open when it has moved a damaged file aside. Opening again makes a new one.
	ErrDamaged = errors.New("it was damaged")
	ErrLocked  = errors.New("another process has it open")
)

// Open opens a file that no other process has open, checks it, and has prepare look at it and make what it lacks. A
// damaged file is moved to path.damaged, where the last one stays for people to look at. A new file that could not be
// made is removed.
func Open(path string, options bolt.Options, prepare func(*bolt.DB) error) (*bolt.DB, error) {
	_, before := os.Stat(path)
	var db *bolt.DB
	intact, err := Guard(func() (err error) {
		options.OpenFile = openFile
		if db, err = bolt.Open(path, 0o600, &options); err != nil {
			return err
		}
		return prepare(db)
	})
	if err == nil {
		return db, nil
	}
	if db != nil && intact { // else a lock may be held for ever
		_ = db.Close()
	}
	switch {
	case !intact || errors.Is(err, ErrIntegrity) || errors.Is(err, berrors.ErrIncompatibleValue):
		return nil, putAside(path, err)
	case db == nil && errors.Is(before, fs.ErrNotExist) && !errors.Is(err, ErrLocked):
		_ = os.Remove(path) // half of a new one would count as damaged
	}
	return nil, err
}

func putAside(path string, why error) error {
	aside := path + ".damaged"
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("damaged (%w), and cannot be moved aside: %w", why, err)
	}
	return fmt.Errorf("%w: %w; it is now %s", ErrDamaged, why, aside)
}

// Guard makes an error of what bbolt panics about, and of what the disk does not give back of the mapped file. Then the
// file is not intact: nothing may be done with it any more, not even Close.
func Guard(do func() error) (intact bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			intact, err = false, fmt.Errorf("damaged: %v", p)
		}
	}()
	return true, do()
}

// openFile is for bolt.Options.OpenFile: bbolt reads nothing of a file before it was locked and checked.
func openFile(path string, flag int, mode os.FileMode) (*os.File, error) {
	file, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	if err = lock(file); err == nil {
		err = Check(file)
		var refused syscall.Errno
		if err != nil && !errors.As(err, &refused) { // what the system refuses says nothing about the file
			err = fmt.Errorf("%w: %w", ErrIntegrity, err)
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// lock is bbolt's own lock, which it then takes again without waiting.
func lock(file *os.File) error {
	for tries := lockWait / lockTry; ; tries-- {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case tries <= 0:
			return ErrLocked
		}
		time.Sleep(lockTry)
	}
}
