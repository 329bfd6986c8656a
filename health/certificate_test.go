package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// endsAt is the series of west's certificate; 0: there is none.
func endsAt(m *Monitor) float64 {
	if testutil.CollectAndCount(m.metrics.ends) == 0 {
		return 0
	}
	return testutil.ToFloat64(m.metrics.ends.WithLabelValues("west", "upstream", "https://west/v2/"))
}

func TestCertificatesThatEndSoon(t *testing.T) {
	const day = 24 * time.Hour
	shows := Target{Replica: "west", URL: "https://west/v2/"}
	for _, row := range []struct {
		name    string
		ends    time.Duration // from the start on
		refused bool          // for its certificate
		want    int           // warnings within the first 71 hours
	}{
		{"in a year", 365 * day, false, 0},
		{"just not yet", 17 * day, false, 0},
		{"from the second day on", 15*day + time.Hour, false, 2},
		{"soon", 10 * day, false, 3},
		{"it has ended, and nobody trusts it", -day, true, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, []Target{shows, east}, func(w *world, m *Monitor) {
				leaf := &x509.Certificate{NotAfter: w.began.Add(row.ends)}
				m.config.probe = func(ctx context.Context, t Target) error {
					switch {
					case t.Replica != "west":
					case row.refused:
						return &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf},
							Err: errors.New("ended")}
					default:
						httptrace.ContextClientTrace(ctx).TLSHandshakeDone(
							tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, nil)
					}
					return nil
				}
				seldom := settings(twoReplicas, []Target{shows, east})
				seldom.Interval = time.Minute
				m.Update(seldom)
				if endsAt(m) != 0 {
					t.Error("a series before anybody has seen a certificate")
				}
				w.start()
				sleep(71 * time.Hour)
				if got := strings.Count(w.log.String(), "a certificate ends soon"); got != row.want {
					t.Errorf("%d warnings, want %d:\n%s", got, row.want, w.log.String())
				}
				if got, want := endsAt(m), float64(leaf.NotAfter.Unix()); got != want {
					t.Errorf("series %v, want %v", got, want)
				}
				if got := m.Status()[0]; !got.Ends.Equal(leaf.NotAfter) || got.EndsSoon(time.Now()) != (row.want > 0) {
					t.Errorf("status: ends %v, soon %v", got.Ends, got.EndsSoon(time.Now()))
				}
				m.Update(settings(twoReplicas, []Target{east}))
				if endsAt(m) != 0 {
					t.Error("the series stays")
				}
			})
		})
	}
}

func TestCertificateOfARealServer(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	for name, trusts := range map[string]*tls.Config{"trusted": {RootCAs: pool}, "not trusted": {}} {
		m := New(Config{
			Settings: Settings{Replicas: twoReplicas, Timeout: patient, Interval: time.Second, Targets: []Target{
				{Replica: "west", URL: server.URL, TLS: trusts}}},
			Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		})
		ends, err := m.probe(t.Context(), m.settings.Targets[0])
		if !ends.Equal(server.Certificate().NotAfter) || (err == nil) != (name == "trusted") {
			t.Errorf("%s: ends %v, %v", name, ends, err)
		}
	}
}
