package proxy

import (
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/fairlead-gateway/fairlead/router"
)

// part is what a request adds to an upload of which this gateway has all that came before, or has content begin with.
type part struct {
	upload string    // its name, as cache and written have it; "" where the request begins it
	body   *partBody // nil: it adds nothing
}

// uploadName is how an upload is remembered: its registry's name for it is of use only with the replica.
func uploadName(replica, path string) string { return "upload " + replica + " " + path }

// contentName is how a blob or manifest is remembered that a client has put: it is for its own push alone.
func contentName(k pushKey, digest string) string {
	return "content " + k.client.String() + " " + k.repository + " " + digest
}

// newPart is what this request adds; nil if it is no part, or one of an upload whose content is not known here.
func (x *exchange) newPart() *part {
	changes := x.in.Method == http.MethodPatch || x.in.Method == http.MethodPut
	switch {
	case x.decided.request.Named != "":
		return nil
	case x.postsUpload() && x.in.ContentLength != 0:
		return &part{body: x.partBody()}
	case x.target.kind != router.Upload || x.urlOwner == "" || !changes:
		return nil
	}
	p := &part{upload: uploadName(x.urlOwner, x.in.URL.Path)}
	if _, known := x.before(p, time.Now()); !known {
		return nil
	}
	p.body = x.partBody()
	return p
}

// partBody is nil for a request without a body.
func (x *exchange) partBody() *partBody {
	if x.in.ContentLength == 0 || x.in.Body == nil || x.in.Body == http.NoBody {
		return nil
	}
	b := &partBody{from: x.clientBody(), cache: x.proxy.cache}
	x.reserved = append(x.reserved, b.release)
	return b
}

// before is what the upload has got, where all of it is known: what is kept, or nothing.
func (x *exchange) before(p *part, now time.Time) (content []byte, known bool) {
	if p.upload == "" {
		return nil, true
	}
	if content, kept := x.proxy.cache.get(p.upload, now); kept {
		return content, true
	}
	return nil, x.urlEmpty && !x.proxy.written.has(p.upload)
}

// follows reports whether a part begins where the content before it ends, by its Content-Range if it has one: START-END
// (OCI distribution spec 1.1, "Pushing a blob in chunks"), or as RFC 9110, 14.4 writes it.
func follows(h http.Header, before []byte) bool {
	text := h.Get("Content-Range")
	if text == "" {
		return true
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(text, "bytes "), "-")
	start, err := strconv.ParseInt(first, 10, 64)
	return err == nil && start == int64(len(before))
}

// isWhole reports whether all that was taken of the part is at hand.
func (p *part) isWhole() bool { return p.body == nil || p.body.whole() }

// content is all that the upload has with this part.
func (x *exchange) contentWith(p *part, now time.Time) (content []byte, ok bool) {
	content, ok = x.before(p, now)
	if !ok || !follows(x.in.Header, content) || p.body == nil {
		return content, ok && p.body == nil
	}
	added, ok := p.body.content()
	if !ok || len(content)+len(added) > maxKept {
		return nil, false
	}
	if len(content) == 0 {
		return slices.Clip(added), true
	}
	return slices.Concat(content, added), true
}

// knownOfUpload is what the URL of an upload tells whoever gets the next part.
func (x *exchange) knownOfUpload() string {
	if x.postsUpload() && x.in.ContentLength == 0 {
		return uploadEmpty
	}
	return ""
}

// notePart keeps what an upload has after an accepted step, and what was committed, as long as it is small.
func (x *exchange) notePart(response *http.Response, now time.Time) {
	p, cache := x.part, x.proxy.cache
	if p == nil {
		if x.target.kind == router.Upload && x.in.Method == http.MethodDelete {
			cache.forget(uploadName(x.urlOwner, x.in.URL.Path))
		}
		return
	}
	content, known := x.contentWith(p, now)
	if p.upload != "" {
		cache.forget(p.upload)
		x.proxy.written.note(p.upload)
	}
	switch {
	case !known || x.hinted:
	case x.commits(response):
		cache.put(contentName(x.pushKey(), committed(x.values())), content, now)
	case x.inProgress(response):
		if at, err := url.Parse(response.Header.Get("Location")); err == nil {
			owner, _ := cutOwner(at.RawQuery)
			cache.put(uploadName(owner, at.Path), content, now)
		}
	}
}

// maxWritten bounds what is remembered of uploads that have got something.
const maxWritten = 32_768

// written remembers uploads that have got something: the URL that their POST was answered with says for ever that there
// is nothing.
type written struct {
	seed maphash.Seed // Static.

	mu sync.Mutex
	of *simplelru.LRU[uint64, struct{}] // by the hash of a name, which may be long. Guarded by mu.
}

func newWritten() *written {
	return &written{seed: maphash.MakeSeed(), of: newLRU[uint64, struct{}](maxWritten)}
}

func (w *written) note(upload string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of.Add(maphash.String(w.seed, upload), struct{}{})
}

func (w *written) has(upload string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of.Contains(maphash.String(w.seed, upload))
}
