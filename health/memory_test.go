package health

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/router"
)

func TestLastDown(t *testing.T) {
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	front := Down{"west", netip.MustParseAddr("192.0.2.1")}
	for name, c := range map[string]struct {
		text string
		want []Down
	}{
		"young":            {`{"at":"2026-11-29T23:55:00Z","down":[{"replica":"east"},{"replica":"west","front":"192.0.2.1"}]}`, []Down{{Replica: "east"}, front}},
		"old":              {`{"at":"2026-11-29T23:45:00Z","down":[{"replica":"east"}]}`, nil},
		"of another clock": {`{"at":"2026-12-02T00:00:00Z","down":[{"replica":"east"}]}`, nil},
		"half":             {`{"at":"2026-11-29T23:55:00Z","down":[{"rep`, nil},
		"empty":            {"", nil},
	} {
		file := filepath.Join(t.TempDir(), "health.json")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := LastDown(file, now); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := LastDown(filepath.Join(t.TempDir(), "none"), now); got != nil {
		t.Error(got)
	}
}

// TestRememberedHealth: what was down when a gateway stopped is down for the next one, until its first probe.
func TestRememberedHealth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "health.json")
	synctest.Test(t, func(t *testing.T) {
		var result error = statusError(500)
		monitor := func() *Monitor {
			return New(Config{
				Settings: settings([]router.Replica{{Name: "west"}, {Name: "east"}},
					[]Target{{Replica: "east", URL: "http://east/"}, {Replica: "west", URL: "http://west/"}}),
				Down:       LastDown(file, time.Now()),
				Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
				probe: func(_ context.Context, t Target) error {
					if t.Replica == "west" {
						return result
					}
					return nil
				},
			})
		}
		run := func(m *Monitor, d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			go m.Remember(ctx, file)
			m.Run(ctx)
			synctest.Wait()
		}
		up := func(m *Monitor) [2]bool {
			return [2]bool{m.Fleet().Replica("west").Upstream.Up, m.Fleet().Replica("east").Upstream.Up}
		}
		first := monitor()
		if got := up(first); got != [2]bool{true, true} {
			t.Error("with nothing to remember:", got)
		}
		run(first, time.Minute)
		second := monitor()
		if got := up(second); got != [2]bool{false, true} || second.Status()[1].Up {
			t.Error("before its first probe:", got)
		}
		result = syscall.EMFILE
		run(second, 10*time.Second)
		if got := up(second); got != [2]bool{false, true} {
			t.Error("after probes that say nothing:", got)
		}
		result = nil
		run(second, time.Minute)
		if got := up(second); got != [2]bool{true, true} {
			t.Error("after good ones:", got)
		}
		if got := up(monitor()); got != [2]bool{true, true} {
			t.Error("a third:", got)
		}
	})
}
