package proxy

import (
	"net/http"
	"net/http/httputil"
	"strconv"
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
func (x *exchange) forwardOrigin(pr *httputil.ProxyRequest) {
	drop(pr.Out.Header, overrides)
	addVia(pr.Out.Header, pr.In.ProtoMajor, pr.In.ProtoMinor)
	if !isTrusted(addrOf(pr.In.RemoteAddr), x.proxy.TrustedProxies) {
		drop(pr.Out.Header, claims)
		pr.SetXForwarded()
		return
	}
	pr.Out.Header["X-Forwarded-For"] = pr.In.Header["X-Forwarded-For"]
	if len(pr.In.Header.Values("X-Forwarded-For")) == 0 && x.client != addrOf(pr.In.RemoteAddr) {
		pr.Out.Header.Set("X-Forwarded-For", x.client.String())
	}
	pr.SetXForwarded()
	said := forwardedBy(pr.In.Header)
	for name, value := range map[string]string{"X-Forwarded-Proto": said.proto, "X-Forwarded-Host": said.host} {
		if value != "" {
			pr.Out.Header.Set(name, value)
		}
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
