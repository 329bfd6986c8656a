package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/proxy/strict"
	"github.com/fairlead-gateway/fairlead/router"
)

// An upload is at one replica alone. Where that is lost, and all that the upload has got is at hand, it is begun again
// where the repository's writes go now, and its client does not notice.

// Why an upload was begun again, as the metric has it.
const (
	whyEmpty     = "empty"     // nothing of it had been sent
	whyKept      = "kept"      // what had been sent is kept here
	whyCommitted = "committed" // it is content of the push that only a lost replica has
)

var (
	errUploadLost = errors.New("the replica that holds this upload is down, or none of the fleet's")
	errNobodyUp   = errors.New("no replica is up")
	errNotBegun   = errors.New("the replica begins no upload")
)

// mayMove reports whether the upload of this part can be begun elsewhere.
func (x *exchange) mayMove() bool {
	if x.part == nil || x.part.upload == "" || !x.part.isWhole() {
		return false
	}
	before, known := x.before(x.part, time.Now())
	return known && follows(x.in.Header, before)
}

// begunAgain is the answer to a part whose upload is begun again elsewhere, or what was got if that cannot be.
func (x *exchange) begunAgain(out *http.Request, got answer) answer {
	lost := got.err != nil && x.losesUpload(got.err) && !x.proxy.OwnShortage(got.err) || x.failsForAll(got)
	if !lost || x.ctx.Err() != nil || !x.mayMove() {
		return got
	}
	phaseBefore := x.progress.phase.Swap(int32(waiting)) // while neither side has to move a byte of the body
	before, _ := x.before(x.part, time.Now())
	sent := len(before) + int(x.progress.received.Load())
	to, err := x.newUpload(before)
	if err != nil {
		x.proxy.Log.Info("an upload cannot be begun again elsewhere", "replica", ownerName(x.urlOwner),
			"repository", x.target.repository, "error", err)
		return got
	}
	if got.err == nil {
		got.drop()
	}
	from, name := ownerName(x.urlOwner), x.part.upload
	again := x.carryOn(out, to, phase(phaseBefore))
	if again.err != nil {
		return again
	}
	x.proxy.cache.forget(name)
	x.proxy.written.note(name)
	x.proxy.begun.end(name)
	x.proxy.uploads.note(x.uploadsKey(), -1, time.Now()) // the other one
	why := whyKept
	if sent == 0 {
		why = whyEmpty
	}
	x.proxy.metrics.uploadsBegunAgain.WithLabelValues(why).Inc()
	x.proxy.Log.Info("an upload is begun again elsewhere", "from", from, "to", again.Replica.Name,
		"repository", x.target.repository, "bytes", sent, "why", why)
	return again
}

// newUpload begins an upload where writes go now, has it get what the lost one had, and returns its URL with our marks.
func (x *exchange) newUpload(before []byte) (*url.URL, error) {
	at, err := x.ownStep(http.MethodPost, &url.URL{Path: "/v2/" + x.target.repository + "/blobs/uploads/"}, nil)
	if err != nil || len(before) == 0 {
		return at, err
	}
	return x.ownStep(http.MethodPatch, at, before)
}

// carryOn sends the part to another upload.
func (x *exchange) carryOn(out *http.Request, to *url.URL, phaseBefore phase) answer {
	m, query := cutMarks(to.RawQuery)
	x.urlOwner, x.query = m.owner, withDigests(query, x.query)
	x.part.upload = uploadName(m.owner, to.Path)
	x.decided = x.decide()
	if len(x.decided.Tries) == 0 {
		return failed(nil, errUploadLost)
	}
	_, done := x.keepLease()
	x.reserved = append(x.reserved, done)
	moved, at := *out, *to
	at.RawQuery = x.query
	moved.URL = &at
	if x.part.body != nil {
		x.progress.phase.Store(int32(phaseBefore))
	}
	got := x.askOne(&moved, x.decided.Tries[0], never)
	got.reason = router.Failover
	return got
}

// withDigests adds the digests that a client has put into its query to that of another upload. All else there was the
// lost upload's own.
func withDigests(query, clients string) string {
	for part := range strings.SplitSeq(clients, "&") {
		name, _, _ := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(name); err == nil && decoded == "digest" {
			query = joined(query, part)
		}
	}
	return query
}

// ownStep takes a step of the client's upload that the client has not taken itself, with all that goes with one, and
// returns where the upload goes on.
func (x *exchange) ownStep(method string, at *url.URL, content []byte) (*url.URL, error) {
	ctx, cut := context.WithCancelCause(context.WithValue(x.ctx, connKey{}, (*strict.Conn)(nil)))
	defer cut(nil)
	in := ownRequest(x.in.Clone(ctx), method, at, content)
	y := x.proxy.newExchange(nowhere{}, in)
	defer y.releaseRoom()
	y.ctx = ctx
	y.decided = y.decide()
	switch {
	case len(y.decided.Tries) == 0:
		return nil, errUploadLost
	case y.decided.Reason == router.LastResort:
		return nil, errNobodyUp
	}
	y.part = y.newPart()
	if content == nil {
		y.progress.phase.Store(int32(waiting))
	}
	stop := y.startWatch(cut, func() {})
	defer stop()
	response, err := y.ask(y.outgoing(ctx))
	if err != nil {
		return nil, err
	}
	response.Body.Close()
	if !y.inProgress(response) || !router.Accepted(response.StatusCode) {
		return nil, fmt.Errorf("%w: %d", errNotBegun, response.StatusCode)
	}
	return url.Parse(response.Header.Get("Location"))
}

// ownRequest is a request beside the client's, in whose right it is sent.
func ownRequest(in *http.Request, method string, at *url.URL, content []byte) *http.Request {
	for _, name := range []string{
		"Content-Length", "Content-Range", "Content-Type", "Content-Encoding", "Content-Md5", "Digest", "Expect",
	} {
		in.Header.Del(name)
	}
	in.Method, in.URL, in.RequestURI = method, at, at.RequestURI()
	in.Body, in.ContentLength, in.TransferEncoding, in.Trailer = http.NoBody, 0, nil, nil
	if content != nil {
		in.Header.Set("Content-Type", "application/octet-stream")
		in.Header.Set("Content-Range", fmt.Sprintf("0-%d", len(content)-1))
		in = withBody(in, content)
	}
	return in
}

// nowhere is the client of an own request.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
