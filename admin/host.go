package admin

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// onlyLocal refuses requests by any name but this machine's own: by a name of his own somebody may lead an operator's
// browser here, where his page is then of no other origin.
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r.Host) {
			writeProblem(w, Problem{http.StatusMisdirectedRequest, "ask by a loopback address or by localhost"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal is of a Host header, with or without a port.
func isLocal(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	address, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && address.Unmap().IsLoopback()
}
