package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// digestHeader is optional in the distribution spec. Some registries, and proxies before them, leave it out, while
// clients and what we remember of a push need it.
const digestHeader = "Docker-Content-Digest"

// maxCompared is how large a manifest may be, in bytes, that is taken in to be compared with its digest. Larger ones
// that have a digest pass: their clients compare it, too.
const maxCompared = 256 << 10

// obtain sends a request to a replica, and sees to it that a manifest's answer names its digest, and is about what it
// names, and that a blob is what it names.
func (x *exchange) obtain(replica *router.Replica, out *http.Request) (*http.Response, error) {
	response, err := x.send(replica, out)
	if err != nil {
		return nil, err
	}
	if err := x.identify(replica, out, response); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response, nil
}

func (x *exchange) identify(replica *router.Replica, out *http.Request, response *http.Response) error {
	switch {
	case x.put.body != nil && router.Accepted(response.StatusCode):
		return x.identifyPush(response.Header)
	case !x.reads() || response.StatusCode != http.StatusOK:
		return nil
	case x.target.blob:
		x.boundByDigest(response)
		return x.look(replica.Name, response)
	case isPage(response.Header) && (x.target.manifest || x.target.kind == router.Fresh):
		return fmt.Errorf("%w: a page for people", h1.ErrNonsense)
	case !x.target.manifest:
		return nil
	case x.in.Method == http.MethodHead:
		x.identifyHead(replica, out, response)
		return nil
	}
	return x.identifyManifest(response)
}

// isPage reports whether an answer is a web page: a portal or a login that stands in the way says 200 as well.
func isPage(header http.Header) bool {
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return mediaType == "text/html"
}

// identifyPush names what was pushed by the digest of its bytes, whatever a registry leaves out. One that names
// another has not kept what it was given.
func (x *exchange) identifyPush(header http.Header) error {
	said := header.Get(digestHeader)
	switch {
	case !oci.IsDigest(said) && x.target.isDigest():
		header.Set(digestHeader, x.target.reference)
	case !oci.IsDigest(said):
		header.Set(digestHeader, oci.Digest(x.put.body))
	case !names(said, x.put.body):
		return fmt.Errorf("%w: it took the manifest for %s", h1.ErrNonsense, said)
	}
	return nil
}

// names reports whether a digest is that of a manifest. A signed manifest of schema 1 is named by a part of its bytes,
// under whatever type it comes.
func names(digest string, content []byte) bool {
	return oci.Verifies(content, digest) || isSigned(content)
}

func isSigned(content []byte) bool {
	var doc struct {
		SchemaVersion int               `json:"schemaVersion"`
		Signatures    []json.RawMessage `json:"signatures"`
	}
	return json.Unmarshal(content, &doc) == nil && doc.SchemaVersion == 1 && len(doc.Signatures) > 0
}

// identifyHead asks for the manifest where its digest is not said: clients want it, and so does who compares tags.
func (x *exchange) identifyHead(replica *router.Replica, out *http.Request, response *http.Response) {
	if oci.IsDigest(response.Header.Get(digestHeader)) || x.target.isDigest() {
		return
	}
	response.Header.Del(digestHeader)
	ctx, cancel := context.WithTimeout(out.Context(), x.settings.Limits.FirstByte) // the HEAD is answered in any case
	defer cancel()
	out = out.Clone(ctx)
	out.Method = http.MethodGet
	out.Header.Del("Accept-Encoding")
	out.Header.Del("Range")
	got, err := x.send(replica, out)
	if err != nil {
		return
	}
	defer got.Body.Close()
	done, ok := x.proxy.room.tryReserve(heldOf(got, x.settings.MaxManifest, x.settings.MaxManifest))
	if !ok {
		return
	}
	defer done()
	content, err := readAll(got.Body, got.ContentLength, x.settings.MaxManifest)
	if got.StatusCode != http.StatusOK || err != nil || int64(len(content)) > x.settings.MaxManifest {
		return
	}
	if content, ok := decompressed(got.Header, content, x.settings.MaxManifest); ok && isObject(content) {
		response.Header.Set(digestHeader, oci.Digest(content))
		if response.ContentLength < 0 && response.Header.Get("Content-Encoding") == "" {
			response.ContentLength = int64(len(content))
			response.Header.Set("Content-Length", strconv.Itoa(len(content)))
		}
	}
}

// identifyManifest takes a manifest in, so that another replica can be asked for one that broke off or is another.
// Where there is no memory for that, it passes as it is.
func (x *exchange) identifyManifest(response *http.Response) error {
	said := response.Header.Get(digestHeader)
	if x.target.isDigest() {
		said = x.target.reference
	}
	most := int64(maxCompared)
	if !oci.IsDigest(said) {
		most = x.settings.MaxManifest
	}
	done, ok := x.proxy.room.tryReserve(heldOf(response, most, x.settings.MaxManifest))
	if !ok {
		return nil
	}
	text, complete, err := readUpTo(response, most)
	response.Body = heldBody{response.Body, response.Body, done}
	if err != nil || !complete {
		return err
	}
	content, ok := decompressed(response.Header, text, x.settings.MaxManifest)
	switch {
	case !ok:
	case oci.IsDigest(said) && !names(said, content):
		return fmt.Errorf("%w: what it sends for %s is something else", h1.ErrNonsense, said)
	case oci.Verifies(content, response.Header.Get(digestHeader)): // by another algorithm, perhaps
	case oci.IsDigest(said):
		response.Header.Set(digestHeader, said)
	case !isObject(content):
		return fmt.Errorf("%w: what it sends is no manifest", h1.ErrNonsense)
	default:
		response.Header.Set(digestHeader, oci.Digest(content))
	}
	return nil
}

// isObject reports whether content is a JSON object: all manifests are, and half of one is none.
func isObject(content []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(content, " \t\r\n"), []byte("{")) && json.Valid(content)
}

// nameContent tells the client the digest of what it asked for by its digest, or has committed.
func (x *exchange) nameContent(response *http.Response) {
	digest := ""
	switch {
	case x.commits(response):
		digest = committed(x.values())
	case x.reads() && (x.target.blob || x.target.manifest) &&
		(response.StatusCode == http.StatusOK || response.StatusCode == http.StatusPartialContent):
		digest = x.target.reference
	}
	if response.Header.Get(digestHeader) == "" && oci.IsDigest(digest) {
		response.Header.Set(digestHeader, digest)
	}
}

// boundByDigest compares an answer that ends with its connection with its digest: it looks complete wherever it breaks
// off.
func (x *exchange) boundByDigest(response *http.Response) {
	framed := response.ContentLength >= 0 || len(response.TransferEncoding) > 0 ||
		response.Header.Get("Content-Encoding") != ""
	if h, want, err := oci.ParseDigest(x.target.reference); err == nil && !framed && x.in.Method == http.MethodGet {
		response.Body = &comparedBody{response.Body, h, want}
	}
}

var errCutShort = errors.New("the replica's answer ends before its content does")

type comparedBody struct {
	io.ReadCloser
	hash hash.Hash
	want []byte
}

func (b *comparedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	if err == io.EOF && !bytes.Equal(b.hash.Sum(nil), b.want) {
		err = errCutShort
	}
	return n, err
}
