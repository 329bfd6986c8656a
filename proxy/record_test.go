package proxy

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// memoryRecord keeps record as the ledger does, in memory.
type memoryRecord struct {
	mu    sync.Mutex
	of    map[Reference]Known // Guarded by mu.
	fails bool                // Guarded by mu.
}

func newMemoryRecord() *memoryRecord { return &memoryRecord{of: map[Reference]Known{}} }

var errDisk = errors.New("no space left on device")

func (m *memoryRecord) Push(what Reference, content Content, replica string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails {
		return errDisk
	}
	for _, name := range []string{what.Name, content.Digest} {
		m.of[Reference{what.Repository, name, what.Blob}] = Known{content.Digest, false, []string{replica}}
	}
	return nil
}

func (m *memoryRecord) Delete(what Reference, replica string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails {
		return errDisk
	}
	for other, known := range m.of {
		if other == what || other.Repository == what.Repository && !what.Blob && !known.Deleted && known.Digest == what.Name {
			m.of[other] = Known{known.Digest, true, []string{replica}}
		}
	}
	m.of[what] = Known{m.of[what].Digest, true, []string{replica}}
	return nil
}

func (m *memoryRecord) Confirm(what Reference, replica string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.of[what]; ok && !slices.Contains(known.At, replica) {
		known.At = append(slices.Clone(known.At), replica)
		m.of[what] = known
	}
}

func (m *memoryRecord) Gone(what Reference, replica string) { m.Confirm(what, replica) }

func (m *memoryRecord) Known(what Reference) (Known, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.of[what]
	return known, ok
}

// What is not kept is not promised.
func TestAWriteThatCannotBeKept(t *testing.T) {
	s := newScattered(t)
	s.at["west"].blob("config")
	record := s.proxy.Record.(*memoryRecord)
	record.fails = true
	for _, do := range []func() reply{
		func() reply { return s.putManifest("v1", imageOf("config")) },
		func() reply { return s.do("DELETE /v2/app/manifests/v1", nil) },
	} {
		if got := do(); got.status != 503 || !strings.Contains(got.body, "UNAVAILABLE") || got.header.Get("Retry-After") == "" {
			t.Errorf("%v", got)
		}
	}
	s.want(s.do("POST "+uploads+"?digest="+sha256Of([]byte("one")), strings.NewReader("one")), 201, "west; reason=leased")
	record.fails = false
	s.want(s.putManifest("v1", imageOf("config", "one")), 201, "west; reason=leased")
	known, _ := record.Known(Reference{"app", "v1", false})
	if known.Digest != sha256Of(imageOf("config", "one")) || !slices.Equal(known.At, []string{"west"}) {
		t.Errorf("%+v", known)
	}
}

// A write that is begun again is kept once, as where it ended.
func TestAWriteThatIsBegunAgainIsKeptOnce(t *testing.T) {
	s := newScattered(t)
	s.at["west"].blob("config")
	s.proxy.leases.agreed = decided{owner: "europe"}
	s.want(s.putManifest("v1", imageOf("config")), 201, "europe; reason=leased")
	known, _ := s.proxy.Record.Known(Reference{"app", "v1", false})
	if !slices.Equal(known.At, []string{"europe"}) {
		t.Errorf("%+v", known)
	}
}
