package keyfiles

import (
	"crypto/x509"
	"fmt"
	"time"
)

// Warnings tells why clients that verify a certificate would refuse it at now: as that of a hostname, and of more names
// below it.
func Warnings(leaf *x509.Certificate, hostname string, more []string, now time.Time) []string {
	var w []string
	switch {
	case now.After(leaf.NotAfter):
		w = append(w, "has expired at "+leaf.NotAfter.UTC().Format(time.RFC3339)+": clients will refuse it")
	case now.Before(leaf.NotBefore):
		w = append(w, "is not valid before "+leaf.NotBefore.UTC().Format(time.RFC3339)+": until then clients will refuse it")
	}
	if leaf.VerifyHostname(hostname) != nil {
		w = append(w, "does not cover the hostname "+hostname+": clients will refuse it")
	}
	var uncovered []string
	for _, name := range more {
		if leaf.VerifyHostname(name) != nil {
			uncovered = append(uncovered, name)
		}
	}
	if len(uncovered) > 0 {
		what := uncovered[0]
		if others := len(uncovered) - 1; others > 0 {
			what = fmt.Sprintf("%s and %d more", what, others)
		}
		w = append(w, "does not cover "+what+": clients that ask for one replica by name will refuse it")
	}
	return w
}
