package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// A certificate that ends within endsSoon is told of, once in warnEvery: time enough to renew it on a working day.
const (
	endsSoon  = 14 * 24 * time.Hour
	warnEvery = 24 * time.Hour
)

// certified probes, and finds when the certificate ends that the target showed; zero if it showed none.
func certified(ctx context.Context, probe func(context.Context) error) (ends time.Time, err error) {
	var shown atomic.Pointer[x509.Certificate] // a handshake may end after the probe has
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{TLSHandshakeDone: func(s tls.ConnectionState, _ error) {
		if len(s.PeerCertificates) > 0 {
			shown.Store(s.PeerCertificates[0])
		}
	}})
	err = probe(ctx)
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) && len(untrusted.UnverifiedCertificates) > 0 {
		return untrusted.UnverifiedCertificates[0].NotAfter, err
	}
	if own := shown.Load(); own != nil {
		return own.NotAfter, err
	}
	return time.Time{}, err
}

// EndsSoon reports whether the target's certificate ends within 14 days, or has ended.
func (s Status) EndsSoon(now time.Time) bool { return endSoon(s.Ends, now) }

func endSoon(ends, now time.Time) bool { return !ends.IsZero() && ends.Sub(now) < endsSoon }

// certify keeps when a target's certificate ends, and warns once a day if that is soon. Called with mu held.
func (m *Monitor) certify(w *watch, ends, now time.Time) {
	if ends.IsZero() {
		return
	}
	w.ends = ends
	m.metrics.setEnds(w.Target, ends)
	if endSoon(ends, now) && (w.warned.IsZero() || now.Sub(w.warned) >= warnEvery) {
		w.warned = now
		m.config.Log.Warn("a certificate ends soon, or has ended: renew it", "replica", w.Replica, "target", w.kind(),
			"address", w.address(), "ends", ends.UTC())
	}
}
