package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
)

// answer is what came of asking one replica: a response or an error.
type answer struct {
	replica  *router.Replica
	try      int  // its place among the decision's tries
	right    bool // about the tag, or the repository that it owns, whatever others say
	reason   router.Reason
	response *http.Response
	err      error
	lesser   bool // a success, but another replica may have more to say
	denied   bool // by a 401 or 403 that may mean absence
	enough   bool // an absence that is the answer, unless one that was asked before it has yet to speak
}

// or keeps the later answer if it is final, else the better of the two, among equals that of the replica that was asked
// earlier. The other is dropped.
func (a answer) or(b answer, final bool) answer {
	if a.replica == nil {
		return b
	}
	if !final && cmp.Or(cmp.Compare(b.rank(), a.rank()), cmp.Compare(a.try, b.try)) <= 0 {
		a, b = b, a
	}
	if a.response != nil {
		a.response.Body.Close()
	}
	return b
}

// rank: what the client should hear of rather than of what ranks lower. Trouble outranks a 404: what
// could not be asked may have it. Who is right about a tag knows that it is gone, whatever older ones there are.
func (a answer) rank() int {
	switch {
	case a.absent() && a.enough:
		return 4
	case a.absent() && !a.right:
		return 0
	case errors.Is(a.err, errOlder):
		return 1
	case a.absent():
		return 2
	case a.err != nil:
		return 3
	case a.response.StatusCode >= 400:
		return 4
	}
	return 5
}

func (a answer) absent() bool {
	return a.response != nil && a.response.StatusCode == http.StatusNotFound
}

func (a answer) accepted() bool { return a.err == nil && router.Accepted(a.response.StatusCode) }

// guarded: the guard refuses the manifest, and would at any replica.
func (a answer) guarded() bool {
	return errors.As(a.err, new(guardError)) && !errors.Is(a.err, errUnsaid)
}

// final: nothing better is to be had by asking on. 429 means that the replica is alive and wants to be
// asked less; asking the others in its place would only carry the load over.
func (x *exchange) final(got, before answer) bool {
	switch {
	case got.err != nil:
		return got.guarded()
	case before.lesser: // no refusal is better than that
		return got.response.StatusCode < 400 && !got.lesser
	case got.absent(), got.denied:
		return !x.decision.OnAbsent
	}
	return got.response.StatusCode < 500 && !got.lesser
}

// weigh sees what an answer is worth beyond its status.
func (x *exchange) weigh(got *answer) error {
	status := got.response.StatusCode
	got.right = got.replica.Name == x.request.Lease
	if x.decision.OnAbsent && x.reads() && status < 300 && x.unsettled(got.replica) {
		x.makeAbsent(got)
		status = got.response.StatusCode
	}
	got.denied = x.mayBeAbsent(got)
	tag := x.target.manifest && !x.target.isDigest() && (status == http.StatusOK || status == http.StatusNotModified || got.absent())
	switch {
	case !x.decision.OnAbsent, tag && x.isOlder(got):
		return nil
	case got.absent():
		_, _, err := short(got.response)
		return err
	case status != http.StatusOK:
		return nil
	case x.target.blob:
		got.lesser = resumes(x.in.Header)
		return nil
	case x.target.kind == router.Fresh && x.target.isDigest():
		empty, err := emptyIndex(got.response)
		got.lesser = empty
		return err
	}
	return nil
}

var errOlder = errors.New("the replica that this tag was pushed to cannot be reached, and the others have an older one")

// isOlder: a tag never goes back to an older digest, nor to one that was deleted. Whose word counts is right about it, since
// somebody may push to him without us.
func (x *exchange) isOlder(got *answer) bool {
	known, ok := x.proxy.Record.Known(x.named())
	if ok {
		got.right = x.counts(got.replica.Name, known)
	}
	digest := x.tagged(got.response)
	switch {
	case got.absent() || digest == "":
	case ok && known.Deleted && !got.right, slices.Contains(x.barred(ledger.Reference{Repository: x.target.repository, Name: digest}), got.replica.Name):
		x.makeAbsent(got)
	case ok && !got.right && known.Digest != digest:
		got.response.Body.Close()
		*got = answer{replica: got.replica, err: errOlder}
		return true
	}
	return false
}

// tagged is the digest that an answer gives a tag; "" if it does not say. 304 confirms the one that the client has, and
// registries use digests as entity tags.
func (x *exchange) tagged(response *http.Response) string {
	if digest := response.Header.Get(digestHeader); digest != "" || response.StatusCode != http.StatusNotModified {
		return digest
	}
	return strings.Trim(strings.TrimPrefix(cmp.Or(response.Header.Get("Etag"), x.in.Header.Get("If-None-Match")), "W/"), `"`)
}

// makeAbsent puts a 404 in the place of an answer that does not count.
func (x *exchange) makeAbsent(got *answer) {
	got.response.Body.Close()
	text := encodeError(x.unknown())
	got.response.StatusCode, got.response.Status = http.StatusNotFound, ""
	got.response.Header = http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(text))}}
	got.response.Body, got.response.ContentLength = http.NoBody, int64(len(text))
	if x.in.Method != http.MethodHead {
		got.response.Body = io.NopCloser(bytes.NewReader(text))
	}
}

// unknown is how a registry says that it does not have what is asked for.
func (x *exchange) unknown() ociError {
	if x.target.blob {
		return ociError{Code: codeBlobUnknown, Message: "blob unknown to registry"}
	}
	return ociError{Code: codeManifestUnknown, Message: "manifest unknown to registry"}
}

// resumes: the client has the beginning of a blob already, and can do nothing with an answer that starts anew.
func resumes(h http.Header) bool {
	first, ok := strings.CutPrefix(h.Get("Range"), "bytes=")
	from, _, _ := strings.Cut(first, "-")
	n, err := strconv.ParseUint(from, 10, 63)
	return ok && err == nil && n > 0 && h.Get("If-Range") == ""
}

// maxShort is more than registries say about what they do not have, in bytes.
const maxShort = 4 << 10

// short takes in a short answer that may not be the one, so that its connection can be used again rather than closed. A long
// one is left alone.
func short(response *http.Response) (text []byte, whole bool, err error) {
	return hold(response, maxShort)
}

// hold takes an answer in that has at most so many bytes.
func hold(response *http.Response, most int64) (text []byte, whole bool, err error) {
	if response.ContentLength > most {
		return nil, false, nil
	}
	length := response.ContentLength
	head := response.Request != nil && response.Request.Method == http.MethodHead
	if head || response.StatusCode == http.StatusNotModified {
		length = -1 // it is that of what is not sent
	}
	text, err = readAll(response.Body, length, most)
	if err != nil {
		return nil, false, err
	}
	rest, whole := response.Body, int64(len(text)) <= most
	if whole {
		rest.Close()
		rest = http.NoBody
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), rest), rest}
	return text, whole, nil
}

// emptyIndex: a list of referrers with none in it, and no further page.
func emptyIndex(response *http.Response) (bool, error) {
	text, whole, err := short(response)
	if err != nil || !whole || response.Header.Get("Link") != "" {
		return false, err
	}
	var doc struct {
		Manifests []json.RawMessage `json:"manifests"`
	}
	text, ok := decompressed(response.Header, text, maxShort)
	return ok && json.Unmarshal(text, &doc) == nil && len(doc.Manifests) == 0, nil
}
