// Package auth logs in at a registry in our own name, as the registry demands it: with a password or with a token. It
// shows the login to that registry and its token service, and to nobody else.
package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/fairlead-gateway/fairlead/oci"
)

const (
	maxTokens = 1024             // that are kept for one replica
	basicLife = 10 * time.Minute // of a user name and password; helpers hand out such as end
)

// authorizer is the transport to one replica. It shows the replica our login and nobody else: not object storage that a
// redirect leads to, for that is another host. A body cannot be sent twice, so a token is renewed before it ends, and
// had before a body is sent.
type authorizer struct {
	// Static after Authorize.
	base     http.RoundTripper
	tokensBy http.RoundTripper
	upstream *url.URL
	login    Login

	flight singleflight.Group // one question per scope at a time
	tokens *lru.Cache[string, authorization]

	mu    sync.Mutex
	known *challenge // Guarded by mu; nil: nothing has been asked of us yet.
}

// authorization is a header with the time until which it is used.
type authorization struct {
	header string
	until  time.Time
}

// Authorize is a transport to the replica at upstream, by way of base, that logs in there as the replica demands it.
// Its token service is asked by way of tokensBy.
func Authorize(base, tokensBy http.RoundTripper, upstream *url.URL, login Login) http.RoundTripper {
	tokens, err := lru.New[string, authorization](maxTokens)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &authorizer{base: base, tokensBy: tokensBy, upstream: upstream, login: login, tokens: tokens}
}

func (a *authorizer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != a.upstream.Host || r.URL.Scheme != a.upstream.Scheme || r.Header.Get("Authorization") != "" {
		return a.base.RoundTrip(r)
	}
	scope := scopeOf(r.Method, r.URL.Path)
	sent, err := a.authorization(r.Context(), scope)
	if err != nil {
		if r.Body != nil {
			r.Body.Close() // as all transports do
		}
		return nil, err
	}
	response, err := a.base.RoundTrip(with(r, sent))
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	c, ok := challengeOf(response.Header)
	if !ok {
		return response, nil
	}
	a.refused(scope, sent, c)
	if r.Body != nil && r.Body != http.NoBody {
		return response, nil // it is gone; the next try has a token
	}
	renewed, err := a.authorization(r.Context(), scope)
	if errors.Is(err, errTokenService) { // and not the replica
		response.Body.Close()
		return nil, err
	}
	if err != nil || renewed == sent {
		return response, nil //nolint:nilerr // the replica's own refusal says more
	}
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10)
	response.Body.Close()
	return a.base.RoundTrip(with(r, renewed))
}

func with(r *http.Request, header string) *http.Request {
	if header == "" {
		return r
	}
	out := r.Clone(r.Context())
	out.Header.Set("Authorization", header)
	return out
}

// refused takes note of what the replica demands instead of what it was shown.
func (a *authorizer) refused(scope, sent string, c challenge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = &c
	if have, ok := a.tokens.Peek(key(c, scope)); ok && have.header == sent {
		a.tokens.Remove(key(c, scope))
	}
}

// authorization is what to show for a scope; "" as long as nothing was demanded.
func (a *authorizer) authorization(ctx context.Context, scope string) (string, error) {
	a.mu.Lock()
	c := a.known
	a.mu.Unlock()
	if c == nil {
		return "", nil
	}
	key := key(*c, scope)
	if have, ok := a.tokens.Get(key); ok && time.Now().Before(have.until) {
		return have.header, nil
	}
	// Whoever is first asks for all: his going away must not be their failure.
	asked := a.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenWait)
		defer cancel()
		got, err := a.ask(ctx, *c, scope)
		if err == nil {
			a.tokens.Add(key, got)
		}
		return got.header, err
	})
	select {
	case got := <-asked:
		header, _ := got.Val.(string)
		return header, got.Err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// key: a password is for all scopes.
func key(c challenge, scope string) string {
	if c.basic {
		return ""
	}
	return c.realm + " " + c.service + " " + scope
}

// challenge is what a registry demands (of Bearer: the distribution project's token specification).
type challenge struct {
	basic          bool
	realm, service string // of a bearer's tokens
}

// challengeOf prefers bearer: who offers both has tokens for clients that can use them.
func challengeOf(header http.Header) (found challenge, ok bool) {
	for _, line := range header.Values("WWW-Authenticate") {
		for _, c := range oci.Challenges(line) {
			switch {
			case c.Scheme == "bearer" && c.Parameters["realm"] != "":
				return challenge{realm: c.Parameters["realm"], service: c.Parameters["service"]}, true
			case c.Scheme == "basic":
				found, ok = challenge{basic: true}, true
			}
		}
	}
	return found, ok
}

var errLogin = errors.New("the replica wants a user name and password, and its login has none")

func (a *authorizer) ask(ctx context.Context, c challenge, scope string) (authorization, error) {
	login, err := a.login(ctx)
	if err != nil {
		return authorization{}, err
	}
	switch {
	case !c.basic && login.AccessToken != "":
		return authorization{"Bearer " + login.AccessToken, time.Now().Add(basicLife)}, nil
	case !c.basic:
		return a.token(ctx, c, scope, login)
	case login.Username == "" && login.Password == "":
		return authorization{}, errLogin
	}
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(login.Username, login.Password)
	return authorization{r.Header.Get("Authorization"), time.Now().Add(basicLife)}, nil
}

// scopeOf is what a token must allow for a request (distribution's "Token Scope Documentation"). All of an upload needs
// both: one token serves it from its POST to its last PUT.
func scopeOf(method, path string) string {
	if path == "/v2/_catalog" {
		return "registry:catalog:*"
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	end := 0
	for _, word := range []string{"/blobs/", "/manifests/", "/referrers/", "/tags/"} {
		end = max(end, strings.LastIndex(rest, word)) // a name may have such a word in it
	}
	if !ok || end == 0 {
		return ""
	}
	name := rest[:end]
	switch {
	case strings.Contains(path, "/blobs/uploads/"):
		return "repository:" + name + ":pull,push"
	case method == http.MethodGet || method == http.MethodHead:
		return "repository:" + name + ":pull"
	case method == http.MethodDelete:
		return "repository:" + name + ":delete,pull"
	}
	return "repository:" + name + ":pull,push"
}
