package configs

import (
	"crypto/x509"
	"fmt"
	"time"
)

// certificateWarnings tells why clients that verify it would refuse the gateway's certificate at now. It keeps
// nobody from starting: it may be renewed while the gateway runs, and some clients are told not to verify.
func certificateWarnings(leaf *x509.Certificate, hostname string, replicas []Replica, now time.Time) []string {
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
	if what := uncovered(leaf, hostname, replicas); what != "" {
		w = append(w, "does not cover "+what+": clients that ask for one replica by name will refuse it")
	}
	return w
}

// uncovered is the first of the names <replica>.<hostname> that leaf is not for, and how many more there are.
func uncovered(leaf *x509.Certificate, hostname string, replicas []Replica) string {
	var names []string
	for _, r := range replicas {
		if name := r.Name + "." + hostname; leaf.VerifyHostname(name) != nil {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}
