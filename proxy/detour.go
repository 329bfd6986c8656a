package proxy

import "net/http"

// hopHeader marks a request that came through another gateway because that one could not reach the
// replica. It takes no second detour, so that nothing circles. Whoever sets it himself only gives up
// the detour.
const hopHeader = "Fairlead-Hop"

// send puts a request to a replica: to its upstream, or through its front.
func (x *exchange) send(up *upstream, out *http.Request) (*http.Response, error) {
	front, blind := "", false
	if x.proxy.Detour.Front != nil && x.in.Header.Get(hopHeader) == "" {
		front, blind = x.proxy.Detour.Front(up.Name)
	}
	if !blind {
		return up.transport.RoundTrip(up.request(out))
	}
	address := *out.URL
	address.Scheme, address.Host = x.proxy.Detour.Scheme, front
	out.URL, out.Header = &address, out.Header.Clone()
	out.Host = up.Name + "." + x.proxy.Hostname // that replica and no other, whatever that gateway thinks
	out.Header.Set(hopHeader, "1")
	return x.proxy.detour.RoundTrip(out)
}
