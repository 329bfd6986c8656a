package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// openLife is how long it is remembered whether a registry asks for a login.
const openLife = time.Minute

// openDoors remembers which replicas let anybody in: they answer /v2/ without a login (OCI distribution spec, end-1). A 401 of
// such a one about a repository is no challenge that a client could meet.
type openDoors struct {
	asking singleflight.Group

	mu sync.Mutex
	of map[string]openness // by replica: as many as the file has. Guarded by mu.
}

type openness struct {
	is    bool
	until time.Time
}

func newOpenDoors() *openDoors { return &openDoors{of: map[string]openness{}} }

// is asks the replica where it is not remembered, once at a time. What it does not say is not remembered.
func (o *openDoors) is(replica string, ask func() (is, known bool)) bool {
	o.mu.Lock()
	known, ok := o.of[replica]
	o.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.is
	}
	is, _, _ := o.asking.Do(replica, func() (any, error) {
		is, known := ask()
		if known {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.of[replica] = openness{is, time.Now().Add(openLife)}
		}
		return is, nil
	})
	return is.(bool)
}

// letsAnybodyIn asks the replica for what needs no right but to be let in, in the gateway's own name: the answer is for all
// clients. In doubt it does not.
func (p *Proxy) letsAnybodyIn(replica string) bool {
	return p.open.is(replica, func() (is, known bool) {
		ctx, cancel := context.WithTimeout(context.Background(), p.Limits.FirstByte/2)
		defer cancel()
		to := p.Upstreams.Reach(replica)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.URL.JoinPath("/v2/").String(), nil)
		if err != nil {
			return false, false
		}
		request.Host = to.Host
		response, err := to.Transport.RoundTrip(request)
		if err != nil {
			return false, false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK, response.StatusCode < http.StatusInternalServerError
	})
}
