// Package boltfile opens files for bbolt that nothing will be found wrong with later.
package boltfile

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	lockWait = 2 * time.Second // for a predecessor that is stopping
	lockTry  = 50 * time.Millisecond
)

var (
	ErrUnsound = errors.New("not a sound file")
	ErrLocked  = errors.New("another process has it open")
)

// Open is for bolt.Options.OpenFile: bbolt reads nothing of a file before it was locked and checked.
func Open(path string, flag int, mode os.FileMode) (*os.File, error) {
	file, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	if err = lock(file); err == nil {
		err = Check(file)
		var refused syscall.Errno
		if err != nil && !errors.As(err, &refused) { // what the system refuses says nothing about the file
			err = fmt.Errorf("%w: %w", ErrUnsound, err)
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
