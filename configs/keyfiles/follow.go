package keyfiles

import (
	"crypto/tls"
	"os"
	"slices"
	"sync"
	"time"
)

// statEvery is how often files are looked at, at most: a second after one was replaced it counts.
const statEvery = time.Second

// followed is a value that is read from files, and read again where one of them was replaced: by a rename, by a
// symbolic link that leads elsewhere, or in place. What cannot be read changes nothing.
type followed[T any] struct {
	// Static.
	files []string
	read  func() (T, error)

	mu    sync.Mutex
	at    time.Time     // of the last stat. Guarded by mu, as all below.
	infos []os.FileInfo // when value was read
	value T
}

func follow[T any](files []string, read func() (T, error)) (*followed[T], error) {
	infos := statAll(files) // before read: what is replaced in between is read again
	value, err := read()
	if err != nil {
		return nil, err
	}
	return &followed[T]{files: files, read: read, at: time.Now(), infos: infos, value: value}, nil
}

func (f *followed[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.at) >= statEvery {
		f.at = now
		if infos := statAll(f.files); !slices.EqualFunc(infos, f.infos, sameFile) {
			if value, err := f.read(); err == nil {
				f.value, f.infos = value, infos
			}
		}
	}
	return f.value
}

func statAll(files []string) []os.FileInfo {
	infos := make([]os.FileInfo, len(files))
	for i, name := range files {
		infos[i], _ = os.Stat(name)
	}
	return infos
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// Pair returns a certificate with its key. A renewed one counts from the next call on. Both files are replaced one
// after the other: until they fit, the old pair goes on.
func Pair(certificate, key string) (func() *tls.Certificate, error) {
	f, err := follow([]string{certificate, key}, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		return &pair, err
	})
	if err != nil {
		return nil, err
	}
	return f.get, nil
}
