package manifest

import (
	"context"
	"slices"
	"sync"
)

// MaxNesting bounds how deep an image is followed: indexes in an index, and referrers of referrers.
const MaxNesting = 4

// Once does something once for each digest: nested indexes lead to one manifest by many ways, and manifests share their
// layers. The zero value is ready. It keeps a result for each digest, as many as an image has descriptors.
type Once[V any] struct {
	mu   sync.Mutex
	jobs map[string]*job[V] // Guarded by mu; by digest.
}

type job[V any] struct {
	done  chan struct{} // closed when the rest is there
	value V
	err   error
	cut   bool // the context of who did it had ended
}

// Do returns what the first call of do for the digest has returned, and waits for it if need be. If do fails after the
// context of its caller has ended, a caller whose context has not ended calls its own do. There is no deadlock as long
// as do waits only for what its content names, since nothing can name itself.
func (o *Once[V]) Do(ctx context.Context, digest string, do func() (V, error)) (V, error) {
	for {
		j, first := o.begin(digest)
		if first {
			j.value, j.err = do()
			j.cut = j.err != nil && ctx.Err() != nil
			if j.cut {
				o.forget(digest)
			}
			close(j.done)
			return j.value, j.err
		}
		select {
		case <-j.done:
			if !j.cut || ctx.Err() != nil {
				return j.value, j.err
			}
		case <-ctx.Done():
			var none V
			return none, context.Cause(ctx)
		}
	}
}

func (o *Once[V]) begin(digest string) (j *job[V], first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if j, ok := o.jobs[digest]; ok {
		return j, false
	}
	if o.jobs == nil {
		o.jobs = map[string]*job[V]{}
	}
	j = &job[V]{done: make(chan struct{})}
	o.jobs[digest] = j
	return j, true
}

func (o *Once[V]) forget(digest string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.jobs, digest)
}

// Succeeded returns the digests for which do has succeeded, sorted.
func (o *Once[V]) Succeeded() (digests []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for digest, j := range o.jobs {
		select {
		case <-j.done:
			if j.err == nil {
				digests = append(digests, digest)
			}
		default:
		}
	}
	slices.Sort(digests)
	return digests
}
