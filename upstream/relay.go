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
	TLSKey string // as Endpoint's
}

// HopHeader marks a request that came through another gateway because that one could not reach the
// replica. It is not relayed again, so that nothing circles. Whoever sets it himself only gives up
// the relay. An answer that the other gateway gives in its own name bears it, too: that is none of the replica's.
const HopHeader = "Fairlead-Hop"

// send puts a request to a replica: to its upstream, or through its front unless it came by one already.
func (s *ways) send(
	replica, incarnation, hostname string, out *http.Request, relayed bool, hint h1.Hint,
) (*http.Response, error) {
	w, err := s.find(replica, incarnation)
	if err != nil {
		closeBody(out)
		return nil, err
	}
	front, unreachable := "", false
	if s.relay.Front != nil && !relayed {
		front, unreachable = s.relay.Front(replica)
	}
	if !unreachable {
		return w.send(out, hint)
	}
	exposed := w.URL.Scheme == "https" && s.relay.Scheme != "https"
	if exposed && out.Header.Get("Authorization") != "" {
		closeBody(out)
		return nil, ErrExposed
	}
	address := *out.URL
	address.Scheme, address.Host = s.relay.Scheme, front
	out.URL, out.Header = &address, out.Header.Clone()
	out.Host = replica + "." + hostname // that replica and no other, whatever that gateway thinks
	out.Header.Set(HopHeader, "1")
	response, err := s.relaying.Do(out, hint)
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
