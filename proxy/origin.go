package proxy

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// overrides are fields that some frameworks read another method or path from than the request's own.
var overrides = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Original-Uri", "X-Rewrite-Url",
}

// claims are fields beside X-Forwarded-For, -Host and -Proto that proxies write and registries believe: who asks, and
// by what URL. From anybody else they are only claims.
var claims = []string{
	"X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
	"X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded-Method",
	"X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Protocol", "X-Forwarded-Ssl",
	"X-Forwarded-User", "X-Remote-User",
	"X-Scheme", "X-Url-Scheme", "Front-End-Https",
}

func drop(h http.Header, names []string) {
	for _, name := range names {
		delete(h, name)
	}
}

// forwardOrigin tells the replica whose request it is: what a trusted proxy says, and that we pass it on.
func (x *exchange) forwardOrigin(header http.Header) {
	drop(header, overrides)
	addVia(header, x.in.ProtoMajor, x.in.ProtoMinor)
	before, said := x.in.Header["X-Forwarded-For"], origin{proto: "http", host: x.in.Host}
	if x.in.TLS != nil {
		said.proto = "https"
	}
	if isTrusted(addrOf(x.in.RemoteAddr), x.settings.TrustedProxies) {
		if len(before) == 0 && x.client != addrOf(x.in.RemoteAddr) {
			before = []string{x.client.String()}
		}
		by := forwardedBy(x.in.Header)
		said.proto, said.host = cmp.Or(by.proto, said.proto), cmp.Or(by.host, said.host)
	} else {
		drop(header, claims)
		before = nil
	}
	delete(header, "Forwarded")
	header["X-Forwarded-Proto"], header["X-Forwarded-Host"] = []string{said.proto}, []string{said.host}
	delete(header, "X-Forwarded-For")
	if sender, _, err := net.SplitHostPort(x.in.RemoteAddr); err == nil {
		header["X-Forwarded-For"] = []string{strings.Join(append(slices.Clone(before), sender), ", ")}
	}
}

// addVia names the protocol that a message came by (RFC 9110, 7.6.3).
func addVia(h http.Header, major, minor int) {
	version := strconv.Itoa(major)
	if major < 2 {
		version += "." + strconv.Itoa(minor)
	}
	h.Add("Via", version+" fairlead")
}
