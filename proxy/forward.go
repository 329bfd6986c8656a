package proxy

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// forward asks replicas and streams both ways, watched until it returns: what is done to the client's connection must
// not meet the next request on it.
func (x *exchange) forward(prolongLease func()) {
	ctx, cut := context.WithCancelCause(x.in.Context())
	x.ctx = ctx
	x.hints.w = x.w
	if x.in.Body == nil || x.in.Body == http.NoBody || x.reads() {
		x.progress.phase.Store(int32(waiting)) // what body there may be with a GET is not passed on
	}
	stop := x.startWatch(cut, prolongLease)
	defer func() { cut(nil); stop() }()
	response, err := x.ask(x.outgoing(ctx))
	x.hints.end()
	if err != nil {
		x.handleError(err)
		return
	}
	x.progress.phase.Store(int32(receiving))
	x.status = response.StatusCode
	x.fitForClient(response)
	x.outliving(response)
	x.pass(response)
}

// hints are answers below 200 on their way to the client. They may come from several replicas at once.
type hints struct {
	mu   sync.Mutex
	w    http.ResponseWriter // nil: no more are passed. Guarded by mu.
	none bool                // static: the client would take one for the answer
}

// pass hands one to the client (RFC 9110, 15.2).
func (h *hints) pass(status int, fields http.Header) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.w == nil || h.none {
		return nil
	}
	to := h.w.Header()
	before := maps.Clone(to)
	dropHopByHop(fields)
	delete(fields, "Set-Cookie")
	maps.Copy(to, fields)
	h.w.WriteHeader(status)
	clear(to)
	maps.Copy(to, before)
	return nil
}

func (h *hints) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.w = nil
}

// pass hands an answer to the client. Where it breaks off the client's connection does, too: a short answer would look
// like a whole one.
func (x *exchange) pass(response *http.Response) {
	defer response.Body.Close()
	to := x.w.Header()
	maps.Copy(to, response.Header)
	if len(response.Trailer) > 0 {
		to["Trailer"] = []string{strings.Join(slices.Sorted(maps.Keys(response.Trailer)), ", ")}
	}
	announced := len(response.Trailer)
	x.w.WriteHeader(response.StatusCode)
	x.begun, x.answered = true, time.Now()
	if err := x.passBody(response); err != nil {
		x.brokenOff = true
		// What has come may be all of the answer that matters, and net/http drops what is in its buffer.
		_ = http.NewResponseController(x.w).Flush()
		panic(http.ErrAbortHandler)
	}
	passTrailer(x.w, response.Trailer, announced)
}

// passTrailer adds what has come behind a body. What was not announced needs a prefix for net/http.
func passTrailer(w http.ResponseWriter, trailer http.Header, announced int) {
	if len(trailer) == 0 {
		return
	}
	_ = http.NewResponseController(w).Flush() // else a short body gets a length, and has no trailer
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range trailer {
		if name != "Set-Cookie" {
			w.Header()[prefix+name] = values
		}
	}
}

// passBody copies a body as it comes, and at once where nobody knows how much there is.
func (x *exchange) passBody(response *http.Response) error {
	if x.in.Method == http.MethodHead || response.Body == http.NoBody {
		return nil
	}
	from := &passing{response.Body, x.proxy.Pipes, &x.progress.sent, x.countPulled()}
	if to, ok := x.w.(io.ReaderFrom); ok && x.in.TLS == nil && from.spliceable() >= minSplice {
		_, err := to.ReadFrom(from)
		return err
	}
	var to io.Writer = x.w
	if response.ContentLength < 0 || isEventStream(response.Header) {
		to = flushing{x.w, http.NewResponseController(x.w)}
	}
	_, err := from.copyTo(to)
	return err
}

func isEventStream(header http.Header) bool {
	return strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "text/event-stream")
}

// flushing sends each write at once.
type flushing struct {
	io.Writer
	client *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		err = f.client.Flush()
	}
	return n, err
}

// hopByHop are fields that belong to one connection (RFC 9110, 7.6.1), with those that only proxies still know.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// dropHopByHop removes what a connection's fields name, and those.
func dropHopByHop(header http.Header) {
	for _, field := range header["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
	drop(header, hopByHop)
}

// wantsTrailers reports whether a client takes trailers (RFC 9110, 10.1.4).
func wantsTrailers(header http.Header) bool {
	return slices.ContainsFunc(header["Te"], func(field string) bool {
		return slices.ContainsFunc(strings.Split(field, ","), func(one string) bool {
			return strings.EqualFold(strings.TrimSpace(one), "trailers")
		})
	})
}

// outgoing makes the request that replicas get. Where it goes, ask decides.
func (x *exchange) outgoing(ctx context.Context) *http.Request {
	at := *x.in.URL
	at.RawQuery = x.query
	if x.target.manifest && x.target.isDigest() && x.in.Method == http.MethodPut {
		at.RawQuery = withoutTags(x.query)
	}
	x.target.spell(&at)
	header := x.in.Header.Clone()
	dropHopByHop(header)
	if wantsTrailers(x.in.Header) {
		header["Te"] = []string{"trailers"}
	}
	delete(header, upstream.HopHeader) // is between gateways
	delete(header, "Cookie")           // one replica's would be shown to all: they have one name
	out := &http.Request{Method: x.in.Method, URL: &at, Host: x.in.Host, Header: header}
	if x.reads() { // a body means nothing there, and could not be sent twice
		delete(header, "Expect")
	} else if x.in.ContentLength != 0 && x.in.Body != http.NoBody {
		out.Body, out.ContentLength = x.clientBody(), x.in.ContentLength
	}
	if x.target.kind == router.Fresh && x.target.isDigest() {
		delete(header, "Accept-Encoding") // a list of referrers is looked into (emptyIndex), and short
	}
	x.forwardOrigin(header)
	return out.WithContext(ctx)
}
