package configs

import (
	"crypto/tls"
	"os"
	"slices"
	"sync"
	"time"
)

// lookEvery is how often files are looked at, at most: a second after one was replaced it counts.
const lookEvery = time.Second

// renewed is what files say, read again where one of them was replaced: by a rename, by a symbolic link that leads
// elsewhere, or in place. What cannot be read changes nothing.
type renewed[T any] struct {
	// Static.
	files []string
	read  func() (T, error)

	mu     sync.Mutex
	looked time.Time     // Guarded by mu, as all below.
	infos  []os.FileInfo // when value was read
	value  T
}

func newRenewed[T any](files []string, read func() (T, error)) (*renewed[T], error) {
	r := &renewed[T]{files: files, read: read, looked: time.Now()}
	r.infos = r.look()
	var err error
	r.value, err = read()
	return r, err
}

func (r *renewed[T]) get() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.looked) >= lookEvery {
		r.looked = now
		if infos := r.look(); !slices.EqualFunc(infos, r.infos, same) {
			if value, err := r.read(); err == nil {
				r.value, r.infos = value, infos
			}
		}
	}
	return r.value
}

// look is before read: what is replaced in between is read again.
func (r *renewed[T]) look() []os.FileInfo {
	infos := make([]os.FileInfo, len(r.files))
	for i, name := range r.files {
		infos[i], _ = os.Stat(name)
	}
	return infos
}

func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// renewedPair is a certificate with its key. They are replaced one after the other: until both fit, the old ones go on.
func renewedPair(certificate, key string) (func() *tls.Certificate, error) {
	r, err := newRenewed([]string{certificate, key}, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		return &pair, err
	})
	if err != nil {
		return nil, err
	}
	return r.get, nil
}
