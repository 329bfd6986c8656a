package health

import (
	"crypto/tls"
	"net/netip"
	"net/url"
)

// Target is one thing to probe: a front of a replica or its upstream. A replica has at most one
// target per front and one for its upstream.
type Target struct {
	Replica  string
	Front    netip.Addr  // invalid for the upstream
	URL      string      // what to GET, http or https
	Host     string      // Host header; "": the URL's. The TLS server name is always the URL's.
	Dial     string      // host:port to connect to instead of the URL's; "": the URL's
	TLS      *tls.Config // certificates to trust and to show; nil: the system's, none
	TLSFiles string      // what TLS is made of: configurations themselves cannot be compared
}

// key tells the targets of a fleet apart.
type key struct {
	replica string
	front   netip.Addr // invalid for the upstream
}

func (t Target) key() key { return key{t.Replica, t.Front.Unmap()} }

// identity is all that a probe goes by: what one found out says nothing of a target of another.
type identity struct {
	key
	url, host, dial, files string
}

func (t Target) identity() identity { return identity{t.key(), t.URL, t.Host, t.Dial, t.TLSFiles} }

// sameServer reports whether both targets are of one server, whatever it is asked for and however.
func (t Target) sameServer(other Target) bool {
	a, err := url.Parse(t.URL)
	if err != nil {
		return false
	}
	b, err := url.Parse(other.URL)
	return err == nil && a.Scheme == b.Scheme && a.Host == b.Host && t.Dial == other.Dial
}

// kind is the value of the label and log field `target`.
func (t Target) kind() string {
	if t.Front.IsValid() {
		return "front"
	}
	return "upstream"
}

// address is the value of the label and log field `address`: what the operator wrote in the file.
func (t Target) address() string {
	if t.Front.IsValid() {
		return t.Front.Unmap().String()
	}
	return t.URL
}
