package proxy

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// hopHeader marks a request that came through another gateway because that one could not reach the
// replica. It takes no second detour, so that nothing circles. Whoever sets it himself only gives up
// the detour. An answer that the other gateway gives in its own name bears it, too: that is none of the replica's.
const hopHeader = "Fairlead-Hop"

// send puts a request to a replica: to its upstream, or through its front.
func (x *exchange) send(up *upstream, out *http.Request) (*http.Response, error) {
	if x.in.Header.Get(hopHeader) != "" {
		return up.transport.RoundTrip(up.request(out))
	}
	return x.proxy.send(up, out)
}

func (p *Proxy) send(up *upstream, out *http.Request) (*http.Response, error) {
	front, blind := "", false
	if p.Detour.Front != nil {
		front, blind = p.Detour.Front(up.Name)
	}
	if !blind {
		return up.transport.RoundTrip(up.request(out))
	}
	exposed := up.URL.Scheme == "https" && p.Detour.Scheme != "https"
	if exposed && out.Header.Get("Authorization") != "" {
		if out.Body != nil {
			out.Body.Close() // as all transports do
		}
		return nil, errExposed
	}
	address := *out.URL
	address.Scheme, address.Host = p.Detour.Scheme, front
	out.URL, out.Header = &address, out.Header.Clone()
	out.Host = up.Name + "." + p.Hostname // that replica and no other, whatever that gateway thinks
	out.Header.Set(hopHeader, "1")
	response, err := p.detour.RoundTrip(out)
	if err == nil && exposed && response.StatusCode == http.StatusUnauthorized {
		response.Body.Close()
		return nil, errExposed // who is asked for a login in clear text cannot know by whom
	}
	if err == nil && response.Header.Get(hopHeader) != "" {
		response.Body.Close()
		return nil, errPeerRefused
	}
	return response, err
}

var errPeerRefused = errors.New("the gateway that the replica is reached through cannot reach it either")

var errExposed = errors.New("the replica can only be reached through another gateway, in clear text, and it has TLS: no login goes there")

// reach is a replica as healing reaches it: as requests do, under the name that the client asked for.
func (p *Proxy) reach(replica, host string) transfer.Replica {
	up := p.upstreams[replica]
	return transfer.Replica{
		Name: replica, URL: up.URL, Host: cmp.Or(up.Host, host), MaxManifest: p.MaxManifest, Piece: up.piece,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != up.URL.Host {
				return up.transport.RoundTrip(r) // redirected, to an object store
			}
			return p.send(up, r.Clone(r.Context()))
		}),
	}
}

// Direct is for what never takes a detour: a gateway's own login to a token service, which another gateway is not.
func (p *Proxy) Direct(replica string) http.RoundTripper {
	up := p.upstreams[replica]
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == up.URL.Host && r.URL.Scheme == up.URL.Scheme {
			r = up.request(r.Clone(r.Context()))
		}
		return up.transport.RoundTrip(r)
	})
}
