package webhook

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestDamagedFile: a file with damage anywhere is refused with a reason, or works; nothing crashes.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	intact := filled(t)
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	tries := 400
	if testing.Short() {
		tries = 100
	}
	for i := range tries {
		damaged := bytes.Clone(intact)
		switch at := random.IntN(len(damaged)); i % 4 {
		case 0:
			damaged[at] ^= byte(1 + random.IntN(255))
		case 1:
			clear(damaged[at:min(at+4096, len(damaged))])
		case 2:
			damaged = damaged[:at]
		case 3: // the header of a page, or its first elements
			at = at&^4095 + random.IntN(64)
			binary.NativeEndian.PutUint32(damaged[at:], random.Uint32N(1<<(1+random.IntN(31))))
		}
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, fileName), damaged, 0o600)
		s, err := openStore(dir, 100, 10)
		if err != nil {
			refused++
			continue
		}
		s.db.NoSync = true
		for j := range 20 {
			_, err1 := s.publish([]string{"hook1"}, Delivery{ID: fmt.Sprint("new", j), State: Pending})
			_, err2 := s.list("hook1")
			if err := errors.Join(err1, err2); err != nil {
				t.Error(err)
			}
		}
		s.close()
	}
	t.Logf("%d of %d refused", refused, tries)
	if refused == 0 || refused == tries {
		t.Error("the test damages nothing, or everything")
	}
}

// filled is a file with some of everything.
func filled(t *testing.T) []byte {
	dir := t.TempDir()
	s, err := openStore(dir, 100, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.saveSubscription("hook1", receiver("http://a")); err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		if _, err := s.publish([]string{"hook1"}, Delivery{ID: fmt.Sprint("e", i), State: Pending,
			Request: RequestMessage{Content: []byte(`{"a":"b"}`)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
