package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// memoryLedger keeps record as the ledger does, in memory.
type memoryLedger struct {
	mu    sync.Mutex
	of    map[ledger.Reference]ledger.Entry // Guarded by mu.
	fails bool                              // Guarded by mu.
	told  []string                          // Guarded by mu: each write, and on whose behalf.
	stale bool                              // Static once the proxy runs.
}

func newMemoryLedger() *memoryLedger { return &memoryLedger{of: map[ledger.Reference]ledger.Entry{}} }

var errDisk = errors.New("no space left on device")

func (m *memoryLedger) Push(what ledger.Reference, content ledger.Content, replica string, by ledger.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails {
		return errDisk
	}
	m.told = append(m.told, fmt.Sprintf("push %.9s %s %t %s %s %s", what.Name, content.Config, content.Implied, by.Host,
		by.Method, by.UserAgent))
	for _, name := range []string{what.Name, content.Digest} {
		m.of[ledger.Reference{Repository: what.Repository, Name: name,
			Blob: what.Blob}] = ledger.Entry{Digest: content.Digest, Confirmed: []string{replica}}
	}
	return nil
}

func (m *memoryLedger) Delete(what ledger.Reference, replica string, by ledger.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails {
		return errDisk
	}
	m.told = append(m.told, fmt.Sprintf("delete %.9s %s %s %s", what.Name, by.Host, by.Method, by.UserAgent))
	for other, known := range m.of {
		if other == what || other.Repository == what.Repository && !what.Blob && !known.Deleted &&
			known.Digest == what.Name {
			m.of[other] = ledger.Entry{Digest: known.Digest, Deleted: true, Confirmed: []string{replica}}
		}
	}
	m.of[what] = ledger.Entry{Digest: m.of[what].Digest, Deleted: true, Confirmed: []string{replica}}
	return nil
}

func (m *memoryLedger) Untag(tag ledger.Reference, standIn string, replica string, by ledger.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, fmt.Sprintf("untag %s %s", tag.Name, by.UserAgent))
	m.of[tag] = ledger.Entry{Digest: m.of[tag].Digest, Deleted: true, Confirmed: []string{replica}}
	m.of[ledger.Reference{Repository: tag.Repository, Name: standIn}] = ledger.Entry{Digest: standIn, Deleted: true,
		Confirmed: []string{replica}}
	return nil
}

func (m *memoryLedger) Told(context.Context) {}

func (m *memoryLedger) Confirm(what ledger.Reference, replica string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.of[what]; ok && !slices.Contains(known.Confirmed, replica) {
		known.Confirmed = append(slices.Clone(known.Confirmed), replica)
		m.of[what] = known
	}
}

func (m *memoryLedger) Gone(what ledger.Reference, replica string) { m.Confirm(what, replica) }

func (m *memoryLedger) Known(what ledger.Reference) (ledger.Entry, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.of[what]
	return known, ok
}

func (m *memoryLedger) Stale() bool { return m.stale }

func (m *memoryLedger) Stranded(repository string, replicas []string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for what, known := range m.of {
		at := func(name string) bool { return slices.Contains(known.Confirmed, name) }
		if what.Repository == repository && !what.Blob && !known.Deleted && !slices.ContainsFunc(replicas, at) {
			return true
		}
	}
	return false
}

// What is not kept is not promised.
func TestAWriteThatCannotBeKept(t *testing.T) {
	s := newScattered(t)
	s.at["west"].blob("config")
	record := s.proxy.Ledger.(*memoryLedger)
	record.fails = true
	for _, do := range []func() reply{
		func() reply { return s.putManifest("v1", imageOf("config")) },
		func() reply { return s.do("DELETE /v2/app/manifests/v1", nil) },
	} {
		if got := do(); got.status != 503 || !strings.Contains(got.body, "UNAVAILABLE") ||
			got.header.Get("Retry-After") == "" {
			t.Errorf("%v", got)
		}
	}
	s.want(s.do("POST "+uploads+"?digest="+sha256Of([]byte("one")), strings.NewReader("one")), 201,
		"west; reason=leased")
	record.fails = false
	s.want(s.putManifest("v1", imageOf("config", "one")), 201, "west; reason=leased")
	known, _ := record.Known(ledger.Reference{Repository: "app", Name: "v1"})
	if known.Digest != sha256Of(imageOf("config", "one")) || !slices.Equal(known.Confirmed, []string{"west"}) {
		t.Errorf("%+v", known)
	}
}

// A blob that others may have recorded as deleted, unknown to us, is recorded as there again.
func TestBlobsWithAStaleLedger(t *testing.T) {
	for _, stale := range []bool{false, true} {
		s := newScattered(t)
		record := s.proxy.Ledger.(*memoryLedger)
		record.stale = stale
		s.want(s.do("POST "+uploads+"?digest="+sha256Of([]byte("one")), strings.NewReader("one")), 201,
			"west; reason=nearest")
		s.at["west"].blob("config")
		s.want(s.putManifest("v1", imageOf("config", "one")), 201, "west; reason=leased")
		pushed := 0
		for _, line := range record.told {
			if strings.HasPrefix(line, "push sha256:") {
				pushed++
			}
		}
		if want := map[bool]int{true: 3}[stale]; pushed != want { // the upload, and two parts
			t.Errorf("stale %v: %d of %q, want %d", stale, pushed, record.told, want)
		}
	}
}

// What is kept says what it is and who asked for it; and what a manifest brings back with it is no push of its own.
func TestWhoAskedIsKept(t *testing.T) {
	s := newScattered(t)
	s.at["west"].blob("config")
	record := s.proxy.Ledger.(*memoryLedger)
	part := sha256Of([]byte("config"))
	record.of[ledger.Reference{Repository: "app", Name: part, Blob: true}] = ledger.Entry{Digest: part, Deleted: true}
	by := []string{"Host: registry.contoso.com", "User-Agent: tester/1"}
	s.want(s.putManifest("v1", imageOf("config"), by...), 201, "west; reason=nearest")
	s.want(s.do("DELETE /v2/app/manifests/v1", nil, by...), 202, "west; reason=leased")
	want := []string{
		"push " + part[:9] + "  true registry.contoso.com PUT tester/1",
		"push v1 application/vnd.oci.image.config.v1+json false registry.contoso.com PUT tester/1",
		"delete v1 registry.contoso.com DELETE tester/1",
	}
	if !slices.Equal(record.told, want) {
		t.Errorf("got  %q\nwant %q", record.told, want)
	}
}

// A write that is begun again is kept once, as where it ended.
func TestAWriteThatIsBegunAgainIsKeptOnce(t *testing.T) {
	s := newScattered(t)
	s.at["west"].blob("config")
	s.proxy.leases.agreed = decided{owner: "europe"}
	s.want(s.putManifest("v1", imageOf("config")), 201, "europe; reason=leased")
	known, _ := s.proxy.Ledger.Known(ledger.Reference{Repository: "app", Name: "v1"})
	if !slices.Equal(known.Confirmed, []string{"europe"}) {
		t.Errorf("%+v", known)
	}
}
