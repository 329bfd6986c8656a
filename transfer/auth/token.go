package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	oras "oras.land/oras-go/v2/registry/remote/auth"

	"github.com/fairlead-gateway/fairlead/oci"
)

const (
	tokenWait    = 30 * time.Second
	maxToken     = 128 << 10
	defaultLife  = 60 * time.Second // of a token that does not say ("Token Response Fields")
	longestLife  = time.Hour
	tokensClient = "fairlead" // as which we ask; the token service may want to know
)

var (
	errRealm = errors.New("the replica sends its login to an address that is no safe place for it")
	errToken = errors.New("the token service answered without a token")

	errTokenService = errors.New("no answer from the token service")
)

// token asks the replica's token service for a token: by GET with the password, or by POST with the identity token that
// stands for one.
func (a *authorizer) token(
	ctx context.Context, c challenge, scope string, login oras.Credential,
) (authorization, error) {
	asked := time.Now()
	r, err := a.tokenRequest(ctx, c, scope, login)
	if err != nil {
		return authorization{}, err
	}
	response, err := a.tokensBy.RoundTrip(r) // not a client: a login goes where the replica said, and no further
	if err != nil {
		return authorization{}, fmt.Errorf("%w %s: %w", errTokenService, r.URL.Host, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return authorization{}, fmt.Errorf("token service %s: %d", r.URL.Host, response.StatusCode)
	}
	var answer struct {
		Token       string          `json:"token"`
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	body, err := oci.ReadBody(response, maxToken)
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil {
		return authorization{}, fmt.Errorf("token service %s: %w", r.URL.Host, err)
	}
	token := answer.Token
	if token == "" {
		token = answer.AccessToken
	}
	if token == "" || strings.ContainsAny(token, " \r\n") {
		return authorization{}, errToken
	}
	return authorization{"Bearer " + token, asked.Add(life(answer.ExpiresIn))}, nil
}

// life returns how long a token is used: three quarters of its life, so that it does not expire on its way. Some
// services write the number of seconds as a string, or with a point.
func life(seconds json.RawMessage) time.Duration {
	n, err := strconv.ParseFloat(strings.Trim(string(seconds), `"`), 64)
	if err != nil || !(n > 0) {
		return defaultLife * 3 / 4
	}
	return time.Duration(min(n, longestLife.Seconds()) * float64(time.Second) * 3 / 4)
}

func (a *authorizer) tokenRequest(
	ctx context.Context, c challenge, scope string, login oras.Credential,
) (*http.Request, error) {
	realm, err := url.Parse(c.realm)
	if err != nil || realm.Host == "" || realm.User != nil ||
		realm.Scheme != "https" && realm.Scheme != a.upstream.Scheme {
		return nil, errRealm
	}
	values := url.Values{}
	if c.service != "" {
		values.Set("service", c.service)
	}
	if scope != "" {
		values.Set("scope", scope)
	}
	if login.RefreshToken != "" {
		values.Set("grant_type", "refresh_token")
		values.Set("refresh_token", login.RefreshToken)
		values.Set("client_id", tokensClient)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(values.Encode()))
		if err == nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return r, err
	}
	query := realm.Query()
	for name, value := range values {
		query[name] = value
	}
	realm.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err == nil && (login.Username != "" || login.Password != "") {
		r.SetBasicAuth(login.Username, login.Password)
	}
	return r, err
}
