package proxy

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// part is what a replica has sent for the rest of a body.
type part struct {
	*answerBody
	at   int64 // of the answer, where it begins
	size int64 // of the whole blob; -1: not said
}

// Pauses between two rounds of asking all.
const (
	firstPause = 250 * time.Millisecond
	mostPause  = 2 * time.Second
)

// seekUntil asks all that may have the rest, again and again: replicas start again, and networks come back. again: the
// body has just been asked for, and did not move.
func (b *blobBody) seekUntil(at int64, until time.Time, again bool) *part {
	pause := firstPause
	for {
		if !again {
			if found := b.seek(at, true, until); found != nil {
				return found
			}
		}
		again = false
		if !b.rest(pause, until) {
			return nil
		}
		pause = min(2*pause, mostPause)
	}
}

// rest waits, and reports whether there is time left.
func (b *blobBody) rest(pause time.Duration, until time.Time) bool {
	timer := time.NewTimer(min(pause, time.Until(until)))
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
		return false
	case now := <-timer.C:
		return now.Before(until)
	}
}

// seek asks one after the other. all: also those that it was taken from, and, when nobody else goes on, whoever knows
// no ranges and sends all of the blob anew.
func (b *blobBody) seek(at int64, all bool, until time.Time) *part {
	var anew []*router.Replica
	for _, replica := range b.candidates(all) {
		found, knowsNoRanges := b.ask(replica, at, false, until)
		if found != nil {
			return found
		}
		if knowsNoRanges && all {
			anew = append(anew, replica)
		}
	}
	for _, replica := range anew {
		if found, _ := b.ask(replica, -b.whole.Load().first, true, until); found != nil {
			return found
		}
	}
	return nil
}

// candidates are by the fleet and the ledger as they are now.
func (b *blobBody) candidates(all bool) []*router.Replica {
	b.mu.Lock()
	left := append(slices.Clone(b.left), b.now.replica.Name)
	b.mu.Unlock()
	if all {
		return b.x.decide().Rest(left)
	}
	return slices.DeleteFunc(b.x.decide().Rest(left), func(r *router.Replica) bool {
		return slices.Contains(left, r.Name)
	})
}

// ask asks one replica for what begins at a byte of the answer. anew: it may send all of the blob. knowsNoRanges: it
// would.
func (b *blobBody) ask(replica *router.Replica, at int64, anew bool, until time.Time) (got *part, knowsNoRanges bool) {
	x := b.x
	ctx, cancel := context.WithCancelCause(b.ctx)
	timer := time.AfterFunc(min(x.proxy.Limits.FirstByte, time.Until(until)), func() { cancel(errNoAnswer) })
	response, err := b.fetch(ctx, replica.Name, at, anew)
	timer.Stop()
	if err == nil && cutOff(ctx) {
		response.Body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		cancel(nil)
		if b.ctx.Err() == nil {
			x.trouble(replica, err)
		}
		return nil, false
	}
	whole, ok := extentOf(response)
	if ok && b.fits(whole, response, at) {
		if response.StatusCode == http.StatusPartialContent || anew {
			return &part{newAnswerBody(ctx, cancel, x, replica, response.Body), at, whole.size}, false
		}
		knowsNoRanges = true
	}
	response.Body.Close()
	cancel(nil)
	return nil, knowsNoRanges
}

// fits reports whether an answer has the same content, from a byte on.
func (b *blobBody) fits(got extent, response *http.Response, at int64) bool {
	want := *b.whole.Load()
	switch {
	case got.size >= 0 && want.size >= 0 && got.size != want.size:
		return false
	case differ(response.Header.Get(digestHeader), b.digest):
		return false
	case got.end < 0: // an end of its connection looks like that of the blob
		return false
	case response.StatusCode == http.StatusOK:
		return true
	}
	return got.first == want.first+at && (want.end < 0 || got.end <= want.end)
}

// differ reports whether two digests cannot be of the same content. Of two algorithms they may.
func differ(a, b string) bool {
	algorithm, _, _ := strings.Cut(a, ":")
	return a != "" && b != "" && a != b && strings.HasPrefix(b, algorithm+":")
}

// fetch asks with the client's own login. Where that has ended meanwhile it is the gateway's that counts: the client
// was let in for this very blob when the answer began.
func (b *blobBody) fetch(ctx context.Context, replica string, at int64, anew bool) (*http.Response, error) {
	x := b.x
	out := x.outgoing(ctx)
	for _, field := range conditions {
		out.Header.Del(field)
	}
	out.Header.Set("Accept-Encoding", "identity")
	if !anew {
		out.Header.Set("Range", b.rangeFrom(at))
	}
	path, query := out.URL.Path, out.URL.RawQuery
	response, err := x.proxy.Upstreams.Send(replica, out, x.in.Header.Get(upstream.HopHeader) != "", nil)
	own, hasOwn := x.proxy.Own[replica]
	if err == nil && hasOwn && isDenial(response.StatusCode) {
		response.Body.Close()
		again := out.Clone(ctx)
		again.URL = &url.URL{Scheme: own.URL.Scheme, Host: own.URL.Host, Path: path, RawQuery: query}
		again.Host = own.Host
		again.Header.Del("Authorization")
		response, err = own.Transport.RoundTrip(again)
	}
	if err != nil {
		return nil, err
	}
	return b.follow(replica, response, out.Header)
}

// conditions are fields of a request that another answer than the rest may come of (RFC 9110, 13.1), or that belong to
// the client's connection to it alone.
var conditions = []string{
	"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
}

func isDenial(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// rangeFrom names the last byte where it is known: go-containerregistry's registry wants both.
func (b *blobBody) rangeFrom(at int64) string {
	whole := *b.whole.Load()
	if whole.end < 0 {
		return fmt.Sprintf("bytes=%d-", whole.first+at)
	}
	return fmt.Sprintf("bytes=%d-%d", whole.first+at, whole.end-1)
}

// maxHops is how many redirects are followed.
const maxHops = 3

// follow goes where a replica redirects to, as to object storage, which is shown no login. The client, who has begun to
// read, cannot.
func (b *blobBody) follow(replica string, response *http.Response, fields http.Header) (*http.Response, error) {
	x := b.x
	for range maxHops {
		location := response.Header.Get("Location")
		if response.StatusCode < 300 || response.StatusCode >= 400 || location == "" {
			break
		}
		response.Body.Close()
		to, err := response.Request.URL.Parse(location)
		if err != nil || to.Host == "" {
			return nil, errBadLocation
		}
		header := http.Header{"Accept-Encoding": {"identity"}}
		if asked := fields["Range"]; asked != nil {
			header["Range"] = asked
		}
		if x.isInside(to, replica) {
			at := x.proxy.Upstreams.Endpoint(replica).URL
			to.Scheme, to.Host = at.Scheme, at.Host
			header = fields.Clone()
		}
		next := (&http.Request{Method: http.MethodGet, URL: to, Host: to.Host, Header: header}).
			WithContext(response.Request.Context())
		response, err = x.proxy.Upstreams.ReachAs(replica, x.in.Host).Transport.RoundTrip(next)
		if err != nil {
			return nil, err
		}
	}
	return response, nil
}
