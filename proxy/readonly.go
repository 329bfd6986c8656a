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

// readOnlyLife is how long a replica that refused a write is not asked to take one of the same repository.
const readOnlyLife = time.Minute

// readOnly remembers which replicas take no writes: those that answer them with 405, as pull-through caches and
// registries under maintenance do, for each repository alone; and those that fail at them, as one whose disk is full
// does, for each repository and client alone. What one client provokes must not move the others: those move when a
// write of his was accepted elsewhere.
type readOnly struct {
	mu sync.Mutex
	of *simplelru.LRU[string, map[string]time.Time] // until when, by replica, by whose writes. Guarded by mu.
}

// newReadOnly has room for so many repositories, and clients that push to one.
func newReadOnly(most int) *readOnly {
	return &readOnly{of: newLRU[string, map[string]time.Time](most)}
}

func (r *readOnly) note(whose, replica string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, ok := r.of.Get(whose)
	if !ok {
		until = map[string]time.Time{}
		r.of.Add(whose, until)
	}
	until[replica] = now.Add(readOnlyLife)
}

func (r *readOnly) names(now time.Time, whose ...string) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, who := range whose {
		all, _ := r.of.Get(who)
		for name, until := range all {
			if now.Before(until) {
				names = append(names, name)
			}
		}
	}
	return names
}

func (r *readOnly) forget(lost map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, whose := range r.of.Keys() {
		if until, ok := r.of.Peek(whose); ok {
			if forgetKeys(until, lost); len(until) == 0 {
				r.of.Remove(whose)
			}
		}
	}
}

// ownWrites are those of this client to the repository.
func (x *exchange) ownWrites() string {
	return clientPrefix(x.client).String() + " " + x.target.repository
}

// present is the fleet as the probes, and answers to writes, have it now.
func (x *exchange) present(failing []string, now time.Time) *router.Fleet {
	own := x.proxy.readOnly.names(now, x.target.repository, x.ownWrites())
	return x.proxy.Fleet().WithReadOnly(append(own, failing...))
}

// refusedAsReadOnly reports whether the replica takes no push, so that another has to, whatever binds it. A manifest is
// no such evidence in itself: 500 may be what is wrong with it.
func (x *exchange) refusedAsReadOnly(got answer) bool {
	switch {
	case got.err != nil || got.Replica.ReadOnly || x.decided.request.Named != "" || !x.repeatable():
		return false
	case x.putsManifest():
		return x.failsForAll(got)
	case x.in.Method != http.MethodPost || x.target.kind != router.Write || !strings.HasSuffix(x.in.URL.Path, "/"):
		return false
	}
	return failsWrites(got.Status) || saysReadOnly(got.response)
}

// noteReadOnly remembers a replica that takes no push of the repository, or could not take this one.
func (x *exchange) noteReadOnly(got answer) {
	whose := x.target.repository
	if failsWrites(got.Status) {
		whose = x.ownWrites()
	}
	x.proxy.readOnly.note(whose, got.Replica.Name, time.Now())
}

// failsWrites reports whether a status means that the replica cannot write.
func failsWrites(status int) bool { return router.Wrote{Status: status}.Fails() }

// saysReadOnly reports whether a refusal means that the replica takes no writes. Some registries say 405 of what their
// operator has locked, and say so in the error's code (Azure's REGISTRY_DISALLOWED_OPERATION): to go elsewhere would be
// to open it.
func saysReadOnly(response *http.Response) bool {
	if response.StatusCode != http.StatusMethodNotAllowed {
		return false
	}
	text, _, err := readShort(response)
	if err != nil {
		return false
	}
	var said struct{ Errors []ociError }
	if plainly, ok := decompressed(response.Header, text, maxShort); ok {
		text = plainly
	}
	return json.Unmarshal(text, &said) != nil || len(said.Errors) == 0 || said.Errors[0].Code == codeUnsupported
}

// noteDiskFull remembers a replica that has no room. Where there is none for a part of a push, or for its manifest,
// there is none for the next. The push that comes again begins elsewhere. 500 says nothing: distribution answers
// manifests and parts that are wrong with it.
func (x *exchange) noteDiskFull(got answer) {
	writes := x.in.Method == http.MethodPatch || x.in.Method == http.MethodPut
	if writes && x.belongsToWriting() && got.Status == http.StatusInsufficientStorage {
		x.proxy.readOnly.note(x.ownWrites(), got.Replica.Name, time.Now())
	}
}
