package configs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Values of LiveResult.Target.
const (
	TargetUpstream = "upstream"
	TargetFront    = "front"
)

// LiveResult is what one upstream or one front answered to GET health.path.
type LiveResult struct {
	Replica   string
	Target    string // TargetUpstream or TargetFront
	Address   string // the upstream's URL, or the front's host:port
	Status    int    // 0 when there was no answer
	Challenge string // all WWW-Authenticate fields, joined by commas
	Err       error  // why it does not count as alive: no answer, or a status other than 200 and 401
}

// maxAsked bounds how many are asked at once.
const maxAsked = 32

// Live asks every upstream and every front of a file, each for at most health.timeout. Results are in the order
// of the file: a replica's upstream, then its fronts.
func Live(ctx context.Context, c *Config) []LiveResult {
	var asked []question
	for _, r := range c.Replicas {
		asked = append(asked, c.askUpstream(r))
		for _, addr := range r.Addresses {
			asked = append(asked, c.askFront(r.Name, addr.String()))
		}
	}
	results := make([]LiveResult, len(asked))
	var g errgroup.Group
	g.SetLimit(maxAsked)
	for i, q := range asked {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, c.Health.Timeout)
			defer cancel()
			results[i] = q.ask(ctx)
			return nil
		})
	}
	_ = g.Wait() // what went wrong is in the results
	return results
}

// question is one request to make.
type question struct {
	result LiveResult // what is known beforehand
	url    string
	host   string // Host to send
	dial   string // host:port to connect to instead of the URL's; empty: the URL's
	tls    func() (*tls.Config, error)
}

// askUpstream sends the Host that the proxy would: the client's, which is the hostname, or the one the file insists on.
func (c *Config) askUpstream(r Replica) question {
	host := r.Host
	if host == "" {
		host = c.Hostname
	}
	return question{
		result: LiveResult{Replica: r.Name, Target: TargetUpstream, Address: r.Upstream.String()},
		url:    r.Upstream.String() + c.Health.Path,
		host:   host,
		tls:    r.ClientTLS,
	}
}

// askFront asks an address as a client would that DNS sent there.
func (c *Config) askFront(replica, addr string) question {
	scheme := "http"
	if c.Proxy.TLS != nil {
		scheme = "https"
	}
	_, port := hostPort(c.Proxy.Listen[0])
	address := net.JoinHostPort(addr, port)
	return question{
		result: LiveResult{Replica: replica, Target: TargetFront, Address: address},
		url:    scheme + "://" + c.Hostname + c.Health.Path,
		host:   c.Hostname,
		dial:   address,
		tls:    c.FrontTLS,
	}
}

func (q question) ask(ctx context.Context) LiveResult {
	result := q.result
	tlsConfig, err := q.tls()
	if err != nil {
		result.Err = err
		return result
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url, nil)
	if err != nil {
		result.Err = err
		return result
	}
	request.Host = q.host
	response, err := q.transport(tlsConfig).RoundTrip(request)
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
func (q question) transport(tlsConfig *tls.Config) *http.Transport {
	var dialer net.Dialer
	return &http.Transport{
		TLSClientConfig:        tlsConfig,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if q.dial != "" {
				address = q.dial
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
