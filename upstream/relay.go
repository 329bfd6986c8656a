package upstream

import (
	"crypto/tls"
	"errors"
	"net/http"

	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// Relay is the way to a replica whose upstream this gateway cannot reach while others can: through its
// front, where another gateway stands. The zero value has none.
type Relay struct {
	Front  func(replica string) (address string, ok bool) // host:port of a front to go through, where that is needed
	Scheme string
	TLS    *tls.Config
}

// HopHeader marks a request that came through another gateway because that one could not reach the
// replica. It is not relayed again, so that nothing circles. Whoever sets it himself only gives up
// the relay. An answer that the other gateway gives in its own name bears it, too: that is none of the replica's.
const HopHeader = "Fairlead-Hop"

// send puts a request to a replica: to its upstream, or through its front.
func (t *Transports) send(replica string, out *http.Request, hint h1.Hint) (*http.Response, error) {
	w, front, unreachable := t.to[replica], "", false
	if t.relay.Front != nil {
		front, unreachable = t.relay.Front(replica)
	}
	if !unreachable {
		return w.send(out, hint)
	}
	exposed := w.URL.Scheme == "https" && t.relay.Scheme != "https"
	if exposed && out.Header.Get("Authorization") != "" {
		if out.Body != nil {
			out.Body.Close() // as all transports do
		}
		return nil, ErrExposed
	}
	address := *out.URL
	address.Scheme, address.Host = t.relay.Scheme, front
	out.URL, out.Header = &address, out.Header.Clone()
	out.Host = replica + "." + t.hostname // that replica and no other, whatever that gateway thinks
	out.Header.Set(HopHeader, "1")
	response, err := t.relaying.Do(out, hint)
	if err == nil && exposed && response.StatusCode == http.StatusUnauthorized {
		response.Body.Close()
		return nil, ErrExposed // who is asked for a login in clear text cannot know by whom
	}
	if err == nil && response.Header.Get(HopHeader) != "" {
		response.Body.Close()
		return nil, errPeerRefused
	}
	return response, err
}

var errPeerRefused = errors.New("the gateway that the replica is reached through cannot reach it either")

var ErrExposed = errors.New(
	"the replica can only be reached through another gateway, in clear text, and it has TLS: no login goes there")
