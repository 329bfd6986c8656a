package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// openLife is how long it is remembered whether a registry asks for a login.
const openLife = time.Minute

// openDoors remembers which replicas let anybody in: they answer /v2/ without a login (OCI distribution spec, end-1). A 401 of
// such a one about a repository is no challenge that a client could meet.
type openDoors struct {
	mu sync.Mutex
	of map[string]openness // by replica: as many as the file has. Guarded by mu.
}

type openness struct {
	is    bool
	until time.Time
}

func newOpenDoors() *openDoors { return &openDoors{of: map[string]openness{}} }

// is asks the replica where it is not remembered.
func (o *openDoors) is(replica string, now time.Time, ask func() bool) bool {
	o.mu.Lock()
	known, ok := o.of[replica]
	o.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.is
	}
	known = openness{ask(), now.Add(openLife)}
	o.mu.Lock()
	o.of[replica] = known
	o.mu.Unlock()
	return known.is
}

// letsAnybodyIn asks the replica for what needs no right but to be let in. In doubt it does not.
func (x *exchange) letsAnybodyIn(replica string) bool {
	return x.proxy.open.is(replica, time.Now(), func() bool {
		ctx, cancel := context.WithTimeout(x.ctx, x.proxy.Limits.FirstByte/2)
		defer cancel()
		to := x.proxy.reach(replica, x.in.Host)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.URL.JoinPath("/v2/").String(), nil)
		if err != nil {
			return false
		}
		request.Host = to.Host
		response, err := to.Transport.RoundTrip(request)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}
