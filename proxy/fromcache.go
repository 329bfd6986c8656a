package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// A small blob of a push, or a manifest of its index, may be only at a replica that is lost since. As long as the push
// goes on it is here as well, and is put to the owner as if a replica had it. That verifies its digest, too. Where all
// replicas say that they do not have it, somebody has deleted it, and it is not put again.

// ownCache is where a copy comes from that this gateway itself has.
const ownCache = "this gateway"

// keptOf is what this gateway has of the push of a client; nil: not that.
func (p *Proxy) keptOf(k pushKey) func(digest string) []byte {
	return func(digest string) []byte {
		content, _ := p.cache.get(contentName(k, digest), time.Now())
		return content
	}
}

// hasKept reports whether this gateway itself has what a push needs.
func (p pushing) hasKept(need manifest.Descriptor) bool {
	return p.kept != nil && p.kept(need.Digest) != nil
}

// source is who a copy comes from.
func (h *healer) source(p pushing, need manifest.Descriptor, from string) transfer.Replica {
	if from == ownCache {
		return cached(p.kept(need.Digest))
	}
	return h.reach(from, p.host).Counted(func(n int) { h.traffic.Healed(from, p.owner, n) })
}

// cached is a replica that has one blob or manifest. nil: it has none.
func cached(content []byte) transfer.Replica {
	return transfer.Replica{
		Name: ownCache, URL: &url.URL{Scheme: "http", Host: "cache.invalid"},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			answer := &http.Response{
				StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
				ContentLength: int64(len(content)), Body: io.NopCloser(bytes.NewReader(content)),
			}
			if content == nil {
				answer.StatusCode = http.StatusNotFound
			}
			return answer, nil
		}),
	}
}

// putKept puts a blob of the client's own push, which only a lost replica has, to the one that was asked for it, and
// asks that again. Some clients look for what they have just committed, and give up where it is not.
func (x *exchange) putKept(out *http.Request, got answer) answer {
	p, need := x.pushing(got.Replica.Name), manifest.Descriptor{Digest: x.target.reference}
	took := x.decided.fleet.Replica(x.proxy.pushes.replicaOf(x.pushKey(), need.Digest, time.Now()))
	if !got.Absent() || took.Readable() || !p.hasKept(need) {
		return got
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.settings.Limits.FirstByte)
	defer cancel()
	if x.proxy.healer.copied(ctx, p, need, ownCache, 0) != nil {
		return got
	}
	again := x.askOneOf(out, got.Replica)
	if again.Status != http.StatusOK {
		return got
	}
	got.drop()
	again.reason = got.reason
	return again
}

// keepManifest keeps a part of an index to come.
func (x *exchange) keepManifest(now time.Time) {
	if len(x.put.body) <= maxKept {
		x.proxy.cache.put(contentName(x.pushKey(), x.target.reference), x.put.body, now)
	}
}

// forgetPush forgets what was kept of a push that is finished.
func (p *Proxy) forgetPush(k pushKey, digests []string) {
	for _, digest := range digests {
		p.cache.forget(contentName(k, digest))
	}
}
