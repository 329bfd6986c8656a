package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/auth"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// insideBound bounds all that one replica is asked with a login.
const insideBound = 30 * time.Second

// checkLive prints a line for each thing that was tried, and reports whether all is well.
func checkLive(ctx context.Context, out io.Writer, c *configs.Config, upstreamsOnly bool) bool {
	well := true
	results := askAll(ctx, c, upstreamsOnly)
	for _, r := range results {
		if r.Err != nil {
			well = false
			fmt.Fprintf(out, "%s %s %s: %v\n", r.Replica, r.Target, r.Address, r.Err)
			continue
		}
		fmt.Fprintf(out, "%s %s %s: %d %s\n", r.Replica, r.Target, r.Address, r.Status, r.Challenge)
	}
	for _, difference := range compareChallenges(results) {
		well = false
		fmt.Fprintln(out, difference)
	}
	for _, r := range c.Replicas {
		i := slices.IndexFunc(results, func(l liveResult) bool {
			return l.Replica == r.Name && l.Target == targetUpstream
		})
		if results[i].Err != nil {
			continue // it has been said
		}
		said, err := lookInside(ctx, r, results[i].Status)
		if err != nil {
			well, said = false, err.Error()
		}
		fmt.Fprintf(out, "%s %s\n", r.Name, said)
	}
	if !upstreamsOnly {
		said, err := lookDelegation(ctx, c)
		if err != nil {
			well, said = false, err.Error()
		}
		fmt.Fprintln(out, "delegation:", said)
	}
	return well
}

// lookInside does at a replica what copying does: it logs in, lists, and reads a manifest and a blob, wherever that
// leads.
func lookInside(ctx context.Context, r configs.Replica, status int) (said string, err error) {
	if status == http.StatusUnauthorized && r.Credentials == "" {
		return "wants a login, and the file has no `credentials` for it: nothing is copied from or to it", nil
	}
	ctx, cancel := context.WithTimeout(ctx, insideBound)
	defer cancel()
	trust, err := r.TLS().Config()
	if err != nil {
		return "", err
	}
	at := reachReplica(r, trust)
	if err := at.LetsIn(ctx); err != nil {
		return "", fmt.Errorf("login with `credentials`: %w", err)
	}
	repositories, _, err := at.Catalog(ctx, 1)
	switch {
	case err != nil:
		return fmt.Sprintf("lists no repositories: only what is pushed through gateways is copied (%v)", err), nil
	case len(repositories) == 0:
		return "lets in, and has no repository to try a pull with", nil
	}
	digest, err := pullOne(ctx, at.Repository(repositories[0]))
	if err != nil {
		return "", fmt.Errorf("pull of %s: %w", repositories[0], err)
	}
	return fmt.Sprintf("lets in, and gives out %s of %s", cmp.Or(digest, "no tag"), repositories[0]), nil
}

func reachReplica(r configs.Replica, trust *tls.Config) transfer.Replica {
	transport := &http.Transport{
		TLSClientConfig: trust, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		DialContext: (&net.Dialer{Timeout: insideBound}).DialContext,
	}
	at := transfer.Replica{Name: r.Name, URL: r.Upstream, Host: r.Host, Transport: transport, Piece: &transfer.Piece{}}
	if r.Credentials != "" {
		login := auth.DockerConfig(r.Credentials, r.Upstream.Host)
		at.Transport = auth.Authorize(transport, transport, r.Upstream, login)
	}
	return at
}

// pullOne reads the beginning of an image, and returns the digest of what it got last: of a blob if there is one.
func pullOne(ctx context.Context, from transfer.Repository) (digest string, err error) {
	tags, _, err := from.Tags(ctx, 1)
	if err != nil || len(tags) == 0 {
		return "", err
	}
	digest, _, body, err := from.Tagged(ctx, tags[0])
	for depth := 0; err == nil && depth < 3; depth++ {
		parts, needsErr := manifest.Needs(body)
		if needsErr != nil || len(parts) == 0 {
			return digest, needsErr
		}
		if !parts[0].Manifest {
			return parts[0].Digest, from.ReadsBlob(ctx, parts[0].Digest)
		}
		digest = parts[0].Digest
		_, body, err = from.Manifest(ctx, digest)
	}
	return digest, err
}

// neverDelegated are top-level names that nobody can register (RFC 6761).
var neverDelegated = []string{"test", "example", "invalid", "localhost"}

// lookDelegation asks this machine's resolver whose the hostname is.
func lookDelegation(ctx context.Context, c *configs.Config) (said string, err error) {
	if top := c.Hostname[strings.LastIndexByte(c.Hostname, '.')+1:]; slices.Contains(neverDelegated, top) {
		return fmt.Sprintf("not looked up: nobody can have a name below .%s", top), nil
	}
	if len(c.DNS.Nameservers) == 0 {
		return "not looked up: the file names no dns.nameservers", nil
	}
	ctx, cancel := context.WithTimeout(ctx, insideBound)
	defer cancel()
	records, err := net.DefaultResolver.LookupNS(ctx, c.Hostname)
	var failed *net.DNSError
	if errors.As(err, &failed) && !failed.IsNotFound {
		return fmt.Sprintf("no resolver says whose %s is: %v", c.Hostname, err), nil
	}
	return compareDelegation(c.Hostname, c.DNS.Nameservers, records)
}

func compareDelegation(hostname string, want []string, records []*net.NS) (said string, err error) {
	var found []string
	for _, r := range records {
		found = append(found, strings.ToLower(strings.TrimSuffix(r.Host, ".")))
	}
	slices.Sort(found)
	want = slices.Sorted(slices.Values(want))
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("%s is not delegated: put NS records that name %s into the zone above",
			hostname, strings.Join(want, ", "))
	case !slices.Equal(found, want):
		return "", fmt.Errorf("%s is delegated to %s, and the file names %s",
			hostname, strings.Join(found, ", "), strings.Join(want, ", "))
	}
	return fmt.Sprintf("%s is delegated to %s", hostname, strings.Join(found, ", ")), nil
}
