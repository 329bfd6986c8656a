package proxy

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/fairlead-gateway/fairlead/router"
)

// readOnlyLife is how long a replica that answered a write with 405 is not asked to take one of the same repository.
const readOnlyLife = time.Minute

// readOnly remembers which replicas answer writes with 405: pull-through caches, and registries under maintenance. It
// does so for each repository alone: what one client provokes must not move the others.
type readOnly struct {
	mu sync.Mutex
	of *simplelru.LRU[string, map[string]time.Time] // until when, by replica, by repository. Guarded by mu.
}

func newReadOnly() *readOnly {
	return &readOnly{of: newLRU[string, map[string]time.Time](maxShelves)}
}

func (r *readOnly) note(repository, replica string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, ok := r.of.Get(repository)
	if !ok {
		until = map[string]time.Time{}
		r.of.Add(repository, until)
	}
	until[replica] = now.Add(readOnlyLife)
}

func (r *readOnly) names(repository string, now time.Time) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, _ := r.of.Get(repository)
	for name, until := range all {
		if now.Before(until) {
			names = append(names, name)
		}
	}
	return names
}

// present is the fleet as the probes, and answers to the repository's writes, have it now.
func (x *exchange) present(now time.Time) *router.Fleet {
	return x.proxy.Fleet().WithReadOnly(x.proxy.readOnly.names(x.target.repository, now))
}

// refusedAsReadOnly: the replica takes no push, so that another has to. Some registries say 405 of what their operator has
// locked, and say so in the error's code (Azure's REGISTRY_DISALLOWED_OPERATION): to go elsewhere would be to open it.
func (x *exchange) refusedAsReadOnly(got answer) bool {
	if got.err != nil || got.response.StatusCode != http.StatusMethodNotAllowed || got.replica.ReadOnly || x.request.Named != "" ||
		x.in.Method != http.MethodPost || x.target.kind != router.Write || !x.repeatable() || !strings.HasSuffix(x.in.URL.Path, "/") {
		return false
	}
	text, _, err := short(got.response)
	if err != nil {
		return false
	}
	var said struct{ Errors []ociError }
	if plainly, ok := decompressed(got.response.Header, text, maxShort); ok {
		text = plainly
	}
	return json.Unmarshal(text, &said) != nil || len(said.Errors) == 0 || said.Errors[0].Code == codeUnsupported
}
