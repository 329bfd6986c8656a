package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Members tell each other a hash of what their files must have alike, and, where it differs, a hash for each key. Which
// key it is a member finds out by itself: no value is ever sent.

// Bounds of what is told of a file.
const (
	maxKeys = 8192 // 256 replicas with 16 keys each, and as many for the rest
	maxKey  = 128  // bytes of a key: a replica's name and a key of it
	maxHash = 32   // bytes of a hash
)

// hashOf is one hash for all of a file's keys; "" without any.
func hashOf(shared map[string]string) string {
	if len(shared) == 0 {
		return ""
	}
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(shared)) {
		_, _ = h.Write([]byte(key + "\x00" + shared[key] + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// differing are the keys that not both have, or with another value, in their order. Of what only one has at all (a
// replica), what is below it is left out.
func differing(ours, theirs map[string]string) (keys []string) {
	oneHas := func(key string) bool {
		_, here := ours[key]
		_, there := theirs[key]
		return here != there
	}
	for _, all := range []map[string]string{ours, theirs} {
		for key := range all {
			above := key[:max(0, strings.LastIndexByte(key, '.'))]
			if ours[key] != theirs[key] && !oneHas(above) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// files are what is known of the members' files.
type files struct {
	mu       sync.Mutex
	shared   map[string]string     // our own. Guarded by mu; replaced, never changed.
	hash     string                // of shared. Guarded by mu.
	byMember map[string]memberFile // Guarded by mu. At most maxMembers.
}

// memberFile is what a member has told.
type memberFile struct {
	hash     string // "": it tells none
	draining bool
	shared   map[string]string // the last that it told, of sharedOf
	sharedOf string
	told     differences // what was said of them
}

func newFiles() *files { return &files{byMember: map[string]memberFile{}} }

func (f *files) setOwn(shared map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shared, f.hash = maps.Clone(shared), hashOf(shared)
}

func (f *files) own() (hash string, shared map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hash, f.shared
}

// seen is the hash of a member's file whose keys we have.
func (f *files) seen(member string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byMember[member].sharedOf
}

// heard takes what a member says of itself every few seconds, and returns what there is to say about that.
func (f *files) heard(member, hash string, draining bool, now time.Time) (t toTell) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of, ok := f.byMember[member]
	if !ok && len(f.byMember) >= maxMembers {
		return toTell{}
	}
	of.hash, of.draining = hash, draining
	if keys, known := f.differing(of); known {
		of.told, t = of.told.step(keys, now)
	}
	f.byMember[member] = of
	return t
}

// learn takes the keys of a member's file.
func (f *files) learn(member, hash string, shared map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if of, ok := f.byMember[member]; ok { // else its digest comes first
		of.shared, of.sharedOf = shared, hash
		f.byMember[member] = of
	}
}

// differing needs mu. It is not known of a file whose keys are on their way.
func (f *files) differing(of memberFile) (keys []string, known bool) {
	switch {
	case of.hash == f.hash, of.hash == "", f.hash == "":
		return nil, true
	case of.hash != of.sharedOf:
		return nil, false
	}
	return differing(f.shared, of.shared), true
}

// differingKey stands for keys that are not known, or not known yet.
const differingKey = "unknown"

// of is what is known of a member: its hash, the keys that differ, and whether it drains.
func (f *files) of(member string) (hash string, keys []string, draining bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.byMember[member]
	keys, known := f.differing(of)
	if !known || of.hash != f.hash && of.hash != "" && f.hash != "" && len(keys) == 0 {
		keys = []string{differingKey}
	}
	return of.hash, keys, of.draining
}

func (f *files) forget(member string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byMember, member)
}

// compareFiles takes a member's word about its file, and tells it about ours where it differs and its keys have not
// come there yet.
func (c *Cluster) compareFiles(from member, m message) {
	name := from.node.Name
	if t := c.files.heard(name, m.File, m.Draining, c.now()); !t.empty() {
		c.tellDifferences(name, t)
	}
	hash, shared := c.files.own()
	if hash == "" || m.File == "" || m.File == hash || m.FileSeen == hash {
		return
	}
	reply := c.message(typeFile)
	reply.File, reply.Shared = hash, shared
	c.send(from, typeFile, reply.encode())
}

func validShared(hash string, shared map[string]string) bool {
	if !validHash(hash) || len(shared) > maxKeys {
		return false
	}
	for key, value := range shared {
		if len(key) > maxKey || !printable(key) || !validHash(value) {
			return false
		}
	}
	return true
}

func validHash(s string) bool { return len(s) <= maxHash && printable(s) }
