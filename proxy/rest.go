package proxy

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// restBody is what a replica has sent for the rest of a body.
type restBody struct {
	*answerBody
	at   int64 // of the answer, where it begins
	size int64 // of the whole blob; -1: not said
}

// drop lets go of what is not needed; of nil, too.
func (r *restBody) drop() {
	if r != nil {
		r.Close()
	}
}

// Pauses between two rounds of asking all.
const (
	firstPause = 250 * time.Millisecond
	mostPause  = 2 * time.Second
)

// seekUntil asks all that may have the rest, again and again: replicas start again, and networks come back. ended:
// there is none, all bytes have come.
func (b *blobBody) seekUntil(until time.Time) (why leaveReason, found *restBody, ended bool) {
	why = b.reason()
	for {
		if found = b.takeFound(); found != nil {
			return why, found, false
		}
		if b.stuck.pause > 0 && !b.wait(b.stuck.pause, until) {
			return why, nil, false
		}
		b.stuck.pause = min(max(2*b.stuck.pause, firstPause), mostPause)
		if found, ended = b.seek(true, until); found != nil || ended {
			return why, found, ended
		}
	}
}

// wait reports whether there is time left then.
func (b *blobBody) wait(pause time.Duration, until time.Time) bool {
	timer := time.NewTimer(min(pause, time.Until(until)))
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
		return false
	case now := <-timer.C:
		return now.Before(until)
	}
}

// seek asks one after the other. all: also the one that it comes from, and, when nobody else goes on, whoever knows no
// ranges and sends all of the blob anew.
func (b *blobBody) seek(all bool, until time.Time) (found *restBody, ended bool) {
	tries, rangeless := b.candidates(all)
	for i, replica := range tries {
		q := question{at: b.at.Load(), wait: b.share(until, len(tries)-i+len(rangeless))}
		found, ended = b.ask(replica, q)
		if found != nil || ended {
			return found, ended
		}
	}
	for i, replica := range rangeless {
		q := question{at: -b.whole.Load().first, anew: true, wait: b.share(until, len(rangeless)-i)}
		if found, _ = b.ask(replica, q); found != nil {
			return found, false
		}
	}
	return nil, false
}

// share is how long one of so many may take to answer.
func (b *blobBody) share(until time.Time, of int) time.Duration {
	left := time.Until(until)
	if of > 1 {
		left /= 2
	}
	return min(b.x.settings.Limits.FirstByte, left)
}

// candidates are by the fleet and the ledger as they are now.
func (b *blobBody) candidates(all bool) (tries, rangeless []*router.Replica) {
	d := b.x.decide()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now.replica.Name
	for _, r := range d.request.Rest(d.Decision, append(slices.Clone(b.left), now)) {
		switch knowsNone := slices.Contains(b.rangeless, r.Name); {
		case !all && (r.Name == now || knowsNone):
		case knowsNone:
			rangeless = append(rangeless, r)
		default:
			tries = append(tries, r)
		}
	}
	return tries, rangeless
}

// question is what one replica is asked.
type question struct {
	at   int64 // of the answer, the first byte that is wanted
	anew bool  // all of the blob is
	wait time.Duration
}

// ask asks one replica. ended: it says that there is nothing behind what has come.
func (b *blobBody) ask(replica *router.Replica, q question) (found *restBody, ended bool) {
	x := b.x
	if q.wait <= 0 {
		return nil, false
	}
	ctx, end := context.WithCancelCause(b.ctx)
	timer := time.AfterFunc(q.wait, func() { end(errNoAnswer) })
	defer timer.Stop()
	leave, err := x.proxy.places.enter(ctx, placeKey{replica.Name, clientPrefix(x.client)})
	if err != nil {
		end(nil)
		return nil, false
	}
	cancel := leaving(end, leave)
	response, err := b.fetch(ctx, replica, q)
	timer.Stop()
	if err == nil && cutOff(ctx) {
		response.Body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		cancel(nil)
		hadTime := !isAny(err, errNoAnswer) || q.wait == x.settings.Limits.FirstByte
		if b.ctx.Err() == nil && hadTime {
			x.trouble(replica, err)
		}
		return nil, false
	}
	got, ok := extentOf(response)
	if ok && b.fits(got, response, q) {
		body := newAnswerBody(ctx, cancel, x, replica, response.Body)
		body.cropped = q.anew
		return &restBody{body, q.at, got.size}, false
	}
	response.Body.Close()
	cancel(nil)
	if response.StatusCode == http.StatusOK && !q.anew {
		b.mu.Lock()
		b.rangeless = append(b.rangeless, replica.Name)
		b.mu.Unlock()
	}
	return nil, b.isBehind(response, q)
}

// fits reports whether an answer has the same content, from a byte on, and says where it ends: the end of a connection
// looks like that of a blob.
func (b *blobBody) fits(got extent, response *http.Response, q question) bool {
	want := *b.whole.Load()
	switch {
	case got.size >= 0 && want.size >= 0 && got.size != want.size:
		return false
	case differ(response.Header.Get(digestHeader), b.digest):
		return false
	case q.anew:
		return response.StatusCode == http.StatusOK && got.end >= 0
	case want.end < 0 && got.size < 0:
		return false
	}
	return response.StatusCode == http.StatusPartialContent && got.first == want.first+q.at &&
		(want.end < 0 || got.end <= want.end)
}

// isBehind reports whether an answer says that the byte asked for is the one behind the last (RFC 9110, 15.5.17).
func (b *blobBody) isBehind(response *http.Response, q question) bool {
	text, ok := strings.CutPrefix(response.Header.Get("Content-Range"), "bytes */")
	size, err := strconv.ParseInt(text, 10, 64)
	whole := *b.whole.Load()
	return response.StatusCode == http.StatusRequestedRangeNotSatisfiable && ok && err == nil && whole.end < 0 &&
		size == whole.first+q.at
}

// differ reports whether two digests cannot be of the same content. Of two algorithms they may.
func differ(a, b string) bool {
	algorithm, _, _ := strings.Cut(a, ":")
	return a != "" && b != "" && a != b && strings.HasPrefix(b, algorithm+":")
}

// sender puts a request to a replica, with some login.
type sender func(*http.Request) (*http.Response, error)

// fetch asks with the client's own login. Where that has ended meanwhile it is the gateway's that counts: the client
// was let in for this very blob when the answer began. A gateway that asks for another one has no login of its own.
func (b *blobBody) fetch(ctx context.Context, replica *router.Replica, q question) (*http.Response, error) {
	x := b.x
	relayed := x.in.Header.Get(upstream.HopHeader) != ""
	send := sender(func(r *http.Request) (*http.Response, error) { return x.send(replica, r) })
	out := b.question(ctx, q)
	response, err := send(out)
	own, hasOwn := x.settings.Own[replica.Name]
	if err == nil && hasOwn && !relayed && isDenial(response.StatusCode) {
		response.Body.Close()
		out = b.question(ctx, q)
		out.Header.Del("Authorization")
		send = func(r *http.Request) (*http.Response, error) {
			r.URL.Scheme, r.URL.Host, r.Host = own.URL.Scheme, own.URL.Host, own.Host
			return own.Transport.RoundTrip(r)
		}
		response, err = send(out)
	}
	if err != nil {
		return nil, err
	}
	return b.follow(ctx, replica.Name, response, q, send)
}

func isDenial(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// conditions are fields of the client's that another answer than the rest may come of (RFC 9110, 13.1).
var conditions = []string{
	"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
}

// question is the client's request, for the rest.
func (b *blobBody) question(ctx context.Context, q question) *http.Request {
	out := b.x.outgoing(ctx)
	drop(out.Header, conditions)
	out.Header["Accept-Encoding"] = []string{"identity"}
	if !q.anew {
		out.Header["Range"] = []string{b.rangeFrom(q.at)}
	}
	return out
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

// follow goes where a replica redirects to: the client, who has begun to read, cannot. What is at the replica itself is
// asked for as before; object storage is shown no login.
func (b *blobBody) follow(
	ctx context.Context, replica string, response *http.Response, q question, send sender,
) (*http.Response, error) {
	x := b.x
	for range maxHops {
		location := response.Header.Get("Location")
		if response.StatusCode < 300 || response.StatusCode >= 400 || location == "" {
			break
		}
		response.Body.Close()
		to, err := url.Parse(location)
		if err != nil {
			return nil, errBadLocation
		}
		inside := x.isInside(to, replica)
		to = response.Request.URL.ResolveReference(to)
		next := b.question(ctx, q)
		if inside {
			if x.in.Header.Get("Authorization") != "" && response.Request.Header.Get("Authorization") == "" {
				next.Header.Del("Authorization") // it was refused
			}
			next.URL.Path, next.URL.RawPath, next.URL.RawQuery = to.Path, to.RawPath, to.RawQuery
			response, err = send(next)
		} else {
			header := http.Header{"Accept-Encoding": {"identity"}}
			if asked := next.Header["Range"]; asked != nil {
				header["Range"] = asked
			}
			elsewhere := (&http.Request{Method: http.MethodGet, URL: to, Host: to.Host, Header: header}).WithContext(ctx)
			response, err = x.proxy.Upstreams.Reach(replica).Transport.RoundTrip(elsewhere)
		}
		if err != nil {
			return nil, err
		}
	}
	return response, nil
}
