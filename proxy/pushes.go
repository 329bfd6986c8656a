package proxy

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Bounds of the table of parts: pushes under way at once, and what is remembered of each. Docker
// runs no image of more than 127 layers. Measured full: 78 MiB; finished pushes leave it.
const (
	maxPushes = 4096
	maxParts  = 128
)

// parts remembers what a client's unfinished push has on which replica: blobs that were committed
// there, and those that it was told exist. A manifest that goes elsewhere would have holes where these
// belong, and not every registry looks.
type parts struct {
	idle time.Duration // Static after newParts.

	// Guarded by mu.
	mu     sync.Mutex
	pushes *simplelru.LRU[bindingKey, *push]
}

type push struct {
	at   map[string]string // digest to replica
	last time.Time
}

func newParts(idle time.Duration) *parts {
	return &parts{idle: idle, pushes: newLRU[bindingKey, *push](maxPushes)}
}

// add notes that replica has a part. What is pushed or asked again moves to where that is answered.
func (p *parts) add(k bindingKey, digest, replica string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.live(k, now)
	if of == nil {
		of = &push{at: map[string]string{}}
		p.pushes.Add(k, of)
	}
	of.last = now
	if _, known := of.at[digest]; known || len(of.at) < maxParts {
		of.at[digest] = replica
	}
}

// live needs mu.
func (p *parts) live(k bindingKey, now time.Time) *push {
	of, ok := p.pushes.Get(k)
	if !ok {
		return nil
	}
	if now.Sub(of.last) >= p.idle {
		p.pushes.Remove(k)
		return nil
	}
	return of
}

// replicas lists those that have a part of the push.
func (p *parts) replicas(k bindingKey, now time.Time) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.live(k, now)
	if of == nil {
		return nil
	}
	var names []string
	for _, replica := range of.at {
		if !slices.Contains(names, replica) {
			names = append(names, replica)
		}
	}
	return names
}

// at is the replica that has a part of the push, "" if that is not known.
func (p *parts) at(k bindingKey, digest string, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if of := p.live(k, now); of != nil {
		return of.at[digest]
	}
	return ""
}

// forget ends a push: it is finished, or was refused and begins anew.
func (p *parts) forget(k bindingKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushes.Remove(k)
}

// drop: nobody has it any more, whoever pushed it.
func (p *parts) drop(repository, digest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.pushes.Keys() {
		if of, ok := p.pushes.Peek(k); ok && k.repository == repository {
			delete(of.at, digest)
		}
	}
}
