package webhook

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// TestPrepare: a webhook that the file has no more goes with its queue; what commands made stays, and so does what is
// queued for the others. Settings that are wrong change nothing.
func TestPrepare(t *testing.T) {
	inFile := func(names ...string) (all []subscription.Subscription) {
		for _, name := range names {
			sub := receiver("https://receiver.example")
			sub.Name = name
			all = append(all, sub)
		}
		return all
	}
	s, err := Open(Config{
		Dir: t.TempDir(), Settings: Settings{InFile: inFile("alpha", "bravo"), Regions: []string{"westus"}}, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Create(inFile("zmade")[0]); err != nil {
		t.Fatal(err)
	}
	ping := func(name string) {
		t.Helper()
		if _, err := s.Ping(name); err != nil {
			t.Fatal(err)
		}
	}
	ping("alpha")
	ping("bravo")
	ping("zmade")
	want := func(pending int64, names ...string) {
		t.Helper()
		var have []string
		for _, sub := range s.List() {
			have = append(have, sub.Name)
		}
		if got := s.store.pending(); got != pending || !slices.Equal(have, names) {
			t.Errorf("%v with %d events, want %v with %d", have, got, names, pending)
		}
	}
	want(3, "alpha", "bravo", "zmade")
	if _, err := s.Prepare(Settings{InFile: inFile("alpha", "Alpha")}); err == nil {
		t.Error("two of one name were taken")
	}
	swap, err := s.Prepare(Settings{InFile: inFile("bravo", "charlie"), Regions: []string{"eastus"}})
	if err != nil {
		t.Fatal(err)
	}
	want(3, "alpha", "bravo", "zmade")
	swap()
	want(2, "bravo", "charlie", "zmade")
	ping("charlie")
	want(3, "bravo", "charlie", "zmade")
}
