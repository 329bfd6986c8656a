package health

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/router"
)

var (
	alice = netip.MustParsePrefix("192.0.2.1/32")
	bob   = netip.MustParsePrefix("192.0.2.2/32")
	epoch = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
)

func newTestWrites(log *bytes.Buffer, replicas ...Writer) *Writes {
	return NewWrites(replicas, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(log, nil)))
}

func begins(client netip.Prefix, repository string, status int) router.Wrote {
	return router.Wrote{Repository: repository, Client: client, Status: status}
}

func (w *Writes) wantFailing(t *testing.T, client netip.Prefix, repository string, now time.Time, want, wantDue []string) {
	t.Helper()
	failing, due := w.Failing(client, repository, now)
	if !slices.Equal(failing, want) || !slices.Equal(due, wantDue) {
		t.Errorf("failing %v, due %v; want %v, %v", failing, due, want, wantDue)
	}
}

func TestWrites(t *testing.T) {
	var log bytes.Buffer
	w := newTestWrites(&log, Writer{Name: "west"}, Writer{Name: "east"})
	gauge := func() float64 { return testutil.ToFloat64(w.writable.WithLabelValues("west")) }
	w.Note("west", begins(alice, "app", 500), epoch)
	w.wantFailing(t, bob, "web", epoch, nil, nil)
	if gauge() != 1 {
		t.Error("one failure counts")
	}
	w.Note("west", begins(bob, "web", 500), epoch)
	w.Note("nowhere", begins(bob, "web", 507), epoch)
	w.wantFailing(t, bob, "web", epoch, []string{"west"}, nil)
	if gauge() != 0 || !strings.Contains(log.String(), "replica=west status=500 repository=web") {
		t.Errorf("metric %v, log %s", gauge(), &log)
	}
	if got := w.Status()["west"]; got != (WriteStatus{epoch, 500, "web", epoch.Add(15 * time.Second), false}) {
		t.Errorf("%+v", got)
	}

	now := epoch.Add(15 * time.Second)
	w.wantFailing(t, alice, "app", now, []string{"west"}, []string{"west"})
	if !w.Try("west", alice, "app", now) || w.Try("west", bob, "app", now) || w.Try("east", bob, "app", now) {
		t.Error("one push, and one alone, is to try it")
	}
	w.wantFailing(t, alice, "app", now, nil, nil)
	w.wantFailing(t, alice, "web", now, []string{"west"}, nil)
	w.wantFailing(t, bob, "app", now, []string{"west"}, nil)
	w.Note("west", begins(bob, "other", 500), now)
	w.wantFailing(t, alice, "app", now, nil, nil)
	w.Note("west", begins(alice, "app", 500), now)
	w.wantFailing(t, alice, "app", now, []string{"west"}, nil)

	now = now.Add(30 * time.Second)
	if !w.Try("west", alice, "app", now) {
		t.Error("not due after twice the time")
	}
	w.wantFailing(t, alice, "app", now.Add(time.Minute), []string{"west"}, []string{"west"}) // it has never come
	w.Note("west", begins(bob, "app", 202), now)
	w.wantFailing(t, bob, "web", now, nil, nil)
	if gauge() != 1 || !strings.Contains(log.String(), "takes uploads again\" replica=west after=45s") {
		t.Errorf("metric %v, log %s", gauge(), &log)
	}
}

func TestWritesOfSharedStorage(t *testing.T) {
	w := newTestWrites(&bytes.Buffer{}, Writer{Name: "west", Storage: "s"}, Writer{Name: "east", Storage: "s"},
		Writer{Name: "europe"})
	w.Note("west", begins(alice, "app", 507), epoch)
	for _, name := range []string{"east", "europe"} {
		w.Note(name, begins(alice, "app", 500), epoch)
	}
	w.wantFailing(t, bob, "web", epoch, []string{"east", "west"}, nil)
}

func TestProbedWritesNeedNoClient(t *testing.T) {
	w := newTestWrites(&bytes.Buffer{}, Writer{Name: "west"})
	w.Note("west", begins(alice, "app", 507), epoch)
	w.Probed("west", true)
	later := epoch.Add(time.Hour)
	w.wantFailing(t, alice, "app", later, []string{"west"}, nil)
	w.Probed("west", false)
	w.wantFailing(t, alice, "app", later, []string{"west"}, []string{"west"})
}

func TestWritesUpdate(t *testing.T) {
	w := newTestWrites(&bytes.Buffer{}, Writer{Name: "west", Registry: "1"}, Writer{Name: "east", Registry: "1"},
		Writer{Name: "europe"})
	for _, name := range []string{"west", "east", "europe"} {
		w.Note(name, begins(alice, "app", 507), epoch)
	}
	w.Update([]Writer{{Name: "west", Registry: "1", Storage: "s"}, {Name: "east", Registry: "2"}, {Name: "asia"}})
	w.wantFailing(t, bob, "web", epoch, []string{"west"}, nil)
	if got := testutil.CollectAndCount(w.writable); got != 3 {
		t.Errorf("%d series", got)
	}
	w.Update(nil)
	w.wantFailing(t, bob, "web", epoch, nil, nil)
	if got := testutil.CollectAndCount(w.writable); got != 0 {
		t.Errorf("%d series", got)
	}
}
