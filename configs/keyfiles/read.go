// Package keyfiles reads the files of certificates, authorities and keys that the configuration names, and follows
// those that are replaced while the program runs.
package keyfiles

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// MaxSize bounds a file, in bytes.
const MaxSize = 1 << 20

// Read reads a regular file, and at most one byte more than MaxSize. Anything else is refused before it is opened:
// opening a FIFO waits for a writer, and a device may never end.
func Read(path string) ([]byte, error) {
	if err := CheckRegular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, Unwrapped(err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// CheckRegular returns why a path is no regular file. It follows symbolic links, since that is how a Kubernetes
// ConfigMap is mounted.
func CheckRegular(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return Unwrapped(err)
	case info.IsDir():
		return errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return errors.New("it is a device, a socket or a named pipe")
	}
	return nil
}

// Unwrapped drops the path from an error about a file whose name stands beside it anyway.
func Unwrapped(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
