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

// authorizer is the transport to one replica. It shows our login to the replica and to no other host, such as object
// storage that a redirect leads to. A body cannot be sent twice, so a token is requested before a body is sent, and
// renewed before it expires.
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

// Authorize returns a transport that logs in to the replica at upstream as the replica demands it. Requests to the
// replica go through base, requests to its token service through tokensBy.
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

// refused remembers what the replica demands, and forgets the token that it has refused.
func (a *authorizer) refused(scope, sent string, c challenge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = &c
	if have, ok := a.tokens.Peek(key(c, scope)); ok && have.header == sent {
		a.tokens.Remove(key(c, scope))
	}
}

// authorization returns what to show for a scope; "" as long as the replica has demanded nothing.
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
	// The first to ask does so for all who wait: the others must not fail if the first gives up.
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

// key returns the key of a scope in the cache of tokens. A password is for all scopes.
func key(c challenge, scope string) string {
	if c.basic {
		return ""
	}
	return c.realm + " " + c.service + " " + scope
}

// challenge is what a registry demands (for Bearer: the distribution project's token specification).
type challenge struct {
	basic          bool
	realm, service string // of a bearer's tokens
}

// challengeOf returns what an answer demands. It prefers Bearer: a registry that offers both has tokens for clients
// that can use them.
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

// scopeOf returns the scope that a token needs for a request (distribution's "Token Scope Documentation"). An upload
// needs pull and push throughout, so that one token serves it from its POST to its last PUT.
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
