package manifest

import (
	"context"
	"slices"
	"sync"
)

// MaxNesting bounds how deep an image is followed: indexes in an index, and referrers of referrers.
const MaxNesting = 4

// Once does something for each digest once: of indexes in an index there are many ways to one manifest, and manifests
// share their layers. The zero value is ready. It keeps a result for each digest, as many as an image has descriptors.
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

// Do returns what do returns to whoever comes first. What fails since his context has ended is done anew for one whose
// own has not. Nobody waits in a circle as long as do asks for nothing but what the digest's content names: nothing can
// name itself.
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

// Succeeded are the digests for which it is done, sorted.
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
