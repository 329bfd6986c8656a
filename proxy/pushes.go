package proxy

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxPushContent is how many blobs are remembered of a push: docker runs no image of more than 127 layers. Of 4,096
// pushes that are 78 MiB, measured; finished ones leave the table.
const maxPushContent = 128

// pushes remembers what a client's unfinished push has on which replica: blobs that were committed
// there, and those that it was told exist. In a manifest that goes elsewhere these blobs would be missing,
// and not every registry looks.
type pushes struct {
	idle changingDuration

	// Guarded by mu.
	mu  sync.Mutex
	all *simplelru.LRU[pushKey, *push]
}

type push struct {
	at   map[string]string // digest to replica
	last time.Time
}

// newPushes has room for so many under way at once.
func newPushes(idle time.Duration, most int) *pushes {
	p := &pushes{all: newLRU[pushKey, *push](most)}
	p.idle.set(idle)
	return p
}

// note has it that replica has some content of a push. What is pushed or asked again moves to where that is answered.
func (p *pushes) note(k pushKey, digest, replica string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.live(k, now)
	if of == nil {
		of = &push{at: map[string]string{}}
		p.all.Add(k, of)
	}
	of.last = now
	if _, known := of.at[digest]; known || len(of.at) < maxPushContent {
		of.at[digest] = replica
	}
}

// live needs mu.
func (p *pushes) live(k pushKey, now time.Time) *push {
	of, ok := p.all.Get(k)
	if !ok {
		return nil
	}
	if now.Sub(of.last) >= p.idle.get() {
		p.all.Remove(k)
		return nil
	}
	return of
}

// running reports whether a push has left content anywhere.
func (p *pushes) running(k pushKey, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live(k, now) != nil
}

// replicas lists those that have content of the push.
func (p *pushes) replicas(k pushKey, now time.Time) []string {
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

// replicaOf is the replica that has some content of the push, "" if that is not known.
func (p *pushes) replicaOf(k pushKey, digest string, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if of := p.live(k, now); of != nil {
		return of.at[digest]
	}
	return ""
}

// end forgets a push: it is finished, or was refused and begins anew. It returns the digests of its content.
func (p *pushes) end(k pushKey) (digests []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if of, ok := p.all.Peek(k); ok {
		digests = slices.Collect(maps.Keys(of.at))
	}
	p.all.Remove(k)
	return digests
}

// forget forgets what replicas had.
func (p *pushes) forget(lost map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.all.Keys() {
		if of, ok := p.all.Peek(k); ok {
			maps.DeleteFunc(of.at, func(_, replica string) bool { return lost[replica] })
		}
	}
}

// forgetContent forgets what nobody has any more, whoever pushed it.
func (p *pushes) forgetContent(repository, digest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.all.Keys() {
		if of, ok := p.all.Peek(k); ok && k.repository == repository {
			delete(of.at, digest)
		}
	}
}
