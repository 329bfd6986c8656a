package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/boltfile"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// wall is a clock that tests move.
type wall struct{ ms atomic.Int64 }

func newWall() *wall {
	w := &wall{}
	w.ms.Store(epoch.UnixMilli())
	return w
}

func (w *wall) now() time.Time          { return time.UnixMilli(w.ms.Load()) }
func (w *wall) advance(d time.Duration) { w.ms.Add(d.Milliseconds()) }

var regions = []string{"east", "north", "west"}

type failer interface {
	Helper()
	Fatal(...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// attempt is Open with one try, which has to succeed.
func attempt(dir, member string, replicas []Replica, now func() time.Time) (*Ledger, error) {
	l, err := newLedger(dir, member, replicas, now, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if l.db, err = l.open(); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

// start opens a ledger that does not wait for the disk: what tests look at is not whether it is durable.
func start(t failer, dir, member string, w *wall) *Ledger {
	t.Helper()
	l, err := attempt(dir, member, Named(regions...), w.now)
	must(t, err)
	l.db.NoSync, l.patience = true, time.Minute // machines that test are busy
	return l
}

func one(t *testing.T) (*Ledger, *wall) {
	w := newWall()
	l := start(t, t.TempDir(), "gw1", w)
	t.Cleanup(func() { must(t, l.Close()) })
	return l, w
}

func tag(name string) Reference { return Reference{Repository: "team/app", Name: name} }

func digest(n int) string { return fmt.Sprintf("sha256:%064x", n) }

const mediaType = "application/vnd.oci.image.manifest.v1+json"

func push(t failer, l *Ledger, what Reference, d, replica string) Entry {
	t.Helper()
	e, err := l.Push(what, Content{Digest: d, MediaType: mediaType, Size: 1234}, replica, Request{})
	must(t, err)
	return e
}

func remove(t failer, l *Ledger, what Reference, replica string) []Entry {
	t.Helper()
	e, err := l.Delete(what, replica, Request{})
	must(t, err)
	return e
}

func get(t failer, l *Ledger, what Reference) Entry {
	t.Helper()
	e, _, err := l.Get(what)
	must(t, err)
	return e
}

func pending(t failer, l *Ledger, replica string) (names []string) {
	t.Helper()
	for after := Cursor(""); ; {
		entries, next, err := l.Pending(replica, after, 2)
		must(t, err)
		for _, e := range entries {
			names = append(names, e.Name)
		}
		if next == "" {
			return names
		}
		after = next
	}
}

// pull is what one gateway does to hear from another.
func pull(t failer, from, to *Ledger, limit int) (all Merged) {
	t.Helper()
	vector, err := to.Vector()
	must(t, err)
	for {
		p, err := from.Since(vector, limit)
		must(t, err)
		p, err = DecodePage(p.Encode())
		must(t, err)
		got, err := to.MergePage(p)
		must(t, err)
		all.News = append(all.News, got.News...)
		all.Conflicts += got.Conflicts
		all.Refused += got.Refused
		follow := maps.Clone(vector)
		for origin, n := range p.UpTo {
			follow[origin] = max(follow[origin], n)
		}
		if !p.More {
			return all
		}
		if maps.Equal(vector, follow) {
			t.Fatal("a page without progress")
		}
		vector = follow
	}
}

// everything is all rows, as they are stored; without who changed them last they are what gateways have to agree on.
func everything(t failer, l *Ledger, changes bool) string {
	t.Helper()
	var out strings.Builder
	must(t, l.read(func(t *tx) {
		t.scan("", 1<<20, func(r Row) {
			if !changes {
				r.Changes = nil
			}
			fmt.Fprintf(&out, "%s\n", r.encode())
		})
	}))
	return out.String()
}

// checkIntegrity looks for what the indexes have too much or too little of.
func checkIntegrity(t failer, l *Ledger) {
	t.Helper()
	must(t, l.read(func(x *tx) {
		want := map[indexKey]bool{}
		x.scan("", 1<<20, func(r Row) {
			for _, k := range indexed(r, x.fleet) {
				want[k] = true
			}
		})
		got := map[indexKey]bool{}
		for _, b := range []string{bucketChanges, bucketPending, bucketTags, bucketOld} {
			for _, k := range x.keys(b, "", "", 1<<20) {
				got[indexKey{b, k}] = true
			}
		}
		if !maps.Equal(want, got) {
			t.Fatal(fmt.Sprintf("indexes hold %v, want %v", slices.Collect(maps.Keys(got)),
				slices.Collect(maps.Keys(want))))
		}
	}))
	file, err := os.Open(l.path)
	must(t, err)
	defer file.Close()
	must(t, boltfile.Check(file))
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}
