package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/configs"
)

// Values of liveResult.Target.
const (
	targetUpstream = "upstream"
	targetFront    = "front"
)

// liveResult is what one upstream or one front answered to GET health.path.
type liveResult struct {
	Replica   string
	Target    string // targetUpstream or targetFront
	Address   string // the upstream's URL, or the front's host:port
	Status    int    // 0 when there was no answer
	Challenge string // all WWW-Authenticate fields, joined by commas
	Err       error  // why it does not count as alive: no answer, or a status other than 200 and 401
}

// maxAsked bounds how many are asked at once.
const maxAsked = 32

// askAll asks every upstream and, unless only those are wanted, every front of a file, each for at most health.timeout.
// Results are in the order of Targets.
func askAll(ctx context.Context, c *configs.Config, upstreamsOnly bool) []liveResult {
	targets := c.Targets()
	if upstreamsOnly {
		targets = slices.DeleteFunc(targets, func(t configs.Target) bool { return t.Front.IsValid() })
	}
	results := make([]liveResult, len(targets))
	var g errgroup.Group
	g.SetLimit(maxAsked)
	for i, t := range targets {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, c.Health.Timeout)
			defer cancel()
			results[i] = ask(ctx, t)
			return nil
		})
	}
	_ = g.Wait() // what went wrong is in the results
	return results
}

func ask(ctx context.Context, t configs.Target) liveResult {
	result := liveResult{Replica: t.Replica, Target: targetUpstream, Address: t.Address}
	if t.Front.IsValid() {
		result.Target = targetFront
	}
	tlsConfig, err := t.TLS.Config()
	if err != nil {
		result.Err = err
		return result
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		result.Err = err
		return result
	}
	request.Host = t.Host
	response, err := transport(t, tlsConfig).RoundTrip(request)
	if err != nil {
		result.Err = plain(err)
		return result
	}
	defer response.Body.Close()
	result.Status = response.StatusCode
	result.Challenge = strings.Join(response.Header.Values("WWW-Authenticate"), ", ")
	if result.Status != http.StatusOK && result.Status != http.StatusUnauthorized {
		result.Err = fmt.Errorf("answered %d, and only 200 and 401 mean alive", result.Status)
	}
	return result
}

// transport makes one connection, with no proxy from the environment and no redirects: what is asked is what stands
// in the file.
func transport(t configs.Target, tlsConfig *tls.Config) *http.Transport {
	var dialer net.Dialer
	return &http.Transport{
		TLSClientConfig:        tlsConfig,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if t.Dial != "" {
				address = t.Dial
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
}

// plain takes away the request from an error that stands beside its address anyway.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within health.timeout: %w", err)
	}
	return err
}
