package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
)

// weigh finds out what a response is worth beyond its status.
func (x *exchange) weigh(d *decision, replica *router.Replica, response *http.Response) (answer, error) {
	got := answer{response: response, Heard: router.Heard{
		Replica: replica, Right: replica.Name == d.request.Lease, Holds: d.holds(replica),
	}}
	if d.OnAbsent && x.reads() && response.StatusCode < 300 && x.unsettled(replica) {
		x.makeAbsent(response)
	}
	got.Denied = x.mayBeAbsent(d, replica, response.StatusCode)
	err := x.weighContent(d, &got)
	got.Status = response.StatusCode
	if errors.Is(err, errOlder) {
		response.Body.Close()
		return failed(replica, errOlder), nil
	}
	return got, err
}

// weighContent reads on in a success that may not be the answer.
func (x *exchange) weighContent(d *decision, got *answer) (err error) {
	status := got.response.StatusCode
	absent := status == http.StatusNotFound
	if !d.OnAbsent {
		return nil
	}
	if x.target.manifest && !x.target.isDigest() &&
		(status == http.StatusOK || status == http.StatusNotModified || absent) {
		if err := x.weighTag(d, got); err != nil {
			return err
		}
		absent = got.response.StatusCode == http.StatusNotFound
	}
	switch {
	case absent:
		_, _, err = readShort(got.response)
	case status != http.StatusOK:
	case x.target.blob:
		got.Lesser = resumes(x.in.Header)
	case x.target.kind == router.Fresh && x.target.isDigest():
		got.Lesser, err = emptyIndex(got.response)
	}
	return err
}

var errOlder = errors.New("the replica that this tag was pushed to cannot be reached, and the others have an older one")

// weighTag compares what an answer says of a tag with what is known of that.
func (x *exchange) weighTag(d *decision, got *answer) error {
	known, ok := x.proxy.Ledger.Known(x.reference())
	if ok {
		got.Right = x.hasWord(d.fleet, got.Replica.Name, known)
	}
	if got.response.StatusCode == http.StatusNotFound {
		return nil
	}
	said := router.TagAnswer{Digest: x.tagged(got.response), Deleted: ok && known.Deleted, Right: ok && got.Right}
	if ok && !known.Deleted {
		said.Known = known.Digest
	}
	said.DigestDeleted = said.Digest != "" &&
		x.deletedAt(d.fleet, ledger.Reference{Repository: x.target.repository, Name: said.Digest}, got.Replica.Name)
	switch said.Word() {
	case router.TagAbsent:
		x.makeAbsent(got.response)
	case router.TagOlder:
		return errOlder
	case router.TagCounts:
	}
	return nil
}

// tagged is the digest that an answer gives a tag; "" if it does not say. 304 confirms the one that the client has, and
// registries use digests as entity tags.
func (x *exchange) tagged(response *http.Response) string {
	if digest := response.Header.Get(digestHeader); digest != "" || response.StatusCode != http.StatusNotModified {
		return digest
	}
	tag := cmp.Or(response.Header.Get("Etag"), x.in.Header.Get("If-None-Match"))
	return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`)
}

// makeAbsent puts a 404 in the place of an answer that does not count.
func (x *exchange) makeAbsent(response *http.Response) {
	response.Body.Close()
	text := encodeError(x.unknown())
	response.StatusCode, response.Status = http.StatusNotFound, ""
	response.Header = http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(text))}}
	response.Body, response.ContentLength = http.NoBody, int64(len(text))
	if x.in.Method != http.MethodHead {
		response.Body = io.NopCloser(bytes.NewReader(text))
	}
}

// mayBeAbsent reports whether a replica's 401 or 403 may mean that it does not have the repository: Artifactory,
// GitLab, Harbor and ECR say so of what is not there. A client that has shown no login gets the challenge first, if it
// is one: not where the registry lets anybody in, nor where another replica has just answered it about this repository.
func (x *exchange) mayBeAbsent(d *decision, replica *router.Replica, status int) bool {
	if !x.reads() || d.request.Named != "" || x.target.repository == "" {
		return false
	}
	switch status {
	case http.StatusForbidden:
		return true
	case http.StatusUnauthorized:
		return x.in.Header.Get("Authorization") != "" || x.proxy.resolutions.follow(x.reader()) != "" ||
			x.proxy.allowsAnonymous(replica.Name)
	}
	return false
}

// reader is what is remembered by that a client was answered about a repository elsewhere than at the nearest replica.
func (x *exchange) reader() ledger.Reference {
	return ledger.Reference{Repository: x.target.repository, Name: "client " + x.client.String()}
}

// unknown is how a registry says that it does not have what is asked for.
func (x *exchange) unknown() ociError {
	if x.target.blob {
		return ociError{Code: codeBlobUnknown, Message: "blob unknown to registry"}
	}
	return ociError{Code: codeManifestUnknown, Message: "manifest unknown to registry"}
}

// resumes reports whether the client has the beginning of a blob already, and can do nothing with an answer that starts
// anew.
func resumes(h http.Header) bool {
	first, ok := strings.CutPrefix(h.Get("Range"), "bytes=")
	from, _, _ := strings.Cut(first, "-")
	n, err := strconv.ParseUint(from, 10, 63)
	return ok && err == nil && n > 0 && h.Get("If-Range") == ""
}

// emptyIndex reports whether an answer is a list of referrers with none in it, and no further page.
func emptyIndex(response *http.Response) (bool, error) {
	text, complete, err := readShort(response)
	if err != nil || !complete || response.Header.Get("Link") != "" {
		return false, err
	}
	var doc struct {
		Manifests []json.RawMessage `json:"manifests"`
	}
	text, ok := decompressed(response.Header, text, maxShort)
	return ok && json.Unmarshal(text, &doc) == nil && len(doc.Manifests) == 0, nil
}
