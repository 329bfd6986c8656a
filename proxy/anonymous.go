package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// anonymousLife is how long it is remembered whether a registry asks for a login.
const anonymousLife = time.Minute

// anonymousAccess remembers which replicas let anybody in: they answer /v2/ without a login (OCI distribution spec,
// end-1). A 401 of such a one about a repository is no challenge that a client could meet.
type anonymousAccess struct {
	asking singleflight.Group

	mu sync.Mutex
	of map[string]anonymousAnswer // by replica: as many as the file has. Guarded by mu.
}

type anonymousAnswer struct {
	is    bool
	until time.Time
}

func (a *anonymousAccess) forget(lost map[string]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	forgetKeys(a.of, lost)
}

func newAnonymousAccess() *anonymousAccess { return &anonymousAccess{of: map[string]anonymousAnswer{}} }

// is asks the replica where it is not remembered, once at a time. What it does not say is not remembered.
func (a *anonymousAccess) is(replica string, ask func() (is, known bool)) bool {
	a.mu.Lock()
	known, ok := a.of[replica]
	a.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.is
	}
	is, _, _ := a.asking.Do(replica, func() (any, error) {
		is, known := ask()
		if known {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.of[replica] = anonymousAnswer{is, time.Now().Add(anonymousLife)}
		}
		return is, nil
	})
	return is.(bool)
}

// allowsAnonymous asks the replica for what needs no right but to be let in, in the gateway's own name: the answer is
// for all clients. In doubt it does not.
func (p *Proxy) allowsAnonymous(replica string) bool {
	return p.anonymous.is(replica, func() (is, known bool) {
		ctx, cancel := context.WithTimeout(context.Background(), p.settings.Load().Limits.FirstByte/2)
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
		says := response.StatusCode < http.StatusInternalServerError && response.StatusCode != http.StatusTooManyRequests
		return response.StatusCode == http.StatusOK, says
	})
}
