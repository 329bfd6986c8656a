package test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// specScript asks for every endpoint of the OCI distribution spec 1.1 ("Endpoints"), and provokes every error of its
// that a client can. No two repositories have anything in common.
func specScript(t testing.TB, repository string) []row {
	s := &script{t: t, at: "/v2/" + repository, other: repository + "/other"}
	return slices.Concat(s.base(), s.uploads(), s.mounts(), s.blobs(), s.badManifests(), s.manifests(), s.lists(),
		s.unsupported(), s.deletes())
}

// Kinds of registries by their names.
var (
	inMemory  = []string{memoryKind.name, referrersKind.name}
	everyKind = append([]string{distributionKind.name, debianKind.name}, inMemory...)
)

// script makes the rows of one repository.
type script struct {
	t     testing.TB
	at    string // path of the repository
	other string // a repository to mount from
}

// blob is content that only this repository has.
func (s *script) blob(name string) []byte { return []byte(strings.Repeat(s.at+" "+name+"\n", 20)) }

func sha512Of(content []byte) string {
	sum := sha512.Sum512(content)
	return "sha512:" + hex.EncodeToString(sum[:])
}

func (s *script) digest(name string) string { return digestOf(s.blob(name)) }

func (s *script) descriptor(mediaType, name string) descriptor {
	return descriptor{MediaType: mediaType, Digest: s.digest(name), Size: int64(len(s.blob(name)))}
}

// image is a manifest with a config and a layer; more is laid over it.
func (s *script) image(more map[string]any) []byte {
	m := map[string]any{
		"schemaVersion": 2, "mediaType": typeManifest,
		"config": s.descriptor(typeConfig, "config"), "layers": []descriptor{s.descriptor(typeLayer, "layer")},
	}
	maps.Copy(m, more)
	return encode(s.t, m)
}

func (s *script) index(children ...[]byte) []byte {
	list := []descriptor{}
	for _, c := range children {
		list = append(list, descriptor{MediaType: typeManifest, Digest: digestOf(c), Size: int64(len(c))})
	}
	return encode(s.t, map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": list})
}

var octets = http.Header{"Content-Type": {"application/octet-stream"}}

// streamed is a body whose length nobody knows before.
var streamed = http.Header{"Content-Type": {"application/octet-stream"}, "Transfer-Encoding": {"chunked"}}

func accepting(types ...string) http.Header { return http.Header{"Accept": types} }

func ranged(r string) http.Header { return http.Header{"Range": {r}} }

// chunk is a part of an upload, by Content-Range.
func chunk(r string) http.Header {
	return http.Header{"Content-Type": {"application/octet-stream"}, "Content-Range": {r}}
}

func typed(mediaType string) http.Header { return http.Header{"Content-Type": {mediaType}} }

// push is end-4a and end-6.
func (s *script) push(path, name string) []row {
	return []row{
		{name: "end-4a", method: "POST", path: path + "/blobs/uploads/", save: "push", status: 202},
		{name: "end-6 monolithic", method: "PUT", path: "@push&digest=" + s.digest(name), header: octets,
			body: s.blob(name), status: 201},
	}
}

func (s *script) put(name, reference string, manifest []byte) row {
	mediaType := typeManifest
	if strings.Contains(string(manifest), typeIndex) {
		mediaType = typeIndex
	}
	return row{name: name, method: "PUT", path: s.at + "/manifests/" + reference, header: typed(mediaType),
		body: manifest, status: 201}
}

// putOther puts a manifest into the other repository, which has one blob.
func (s *script) putOther(name, reference string, more map[string]any) row {
	m := map[string]any{"config": s.descriptor(typeConfig, "mounted"), "layers": []string{}}
	maps.Copy(m, more)
	return row{name: name, method: "PUT", path: "/v2/" + s.other + "/manifests/" + reference,
		header: typed(typeManifest), body: s.image(m)}
}

const unknownUpload = "/blobs/uploads/6d1a7a36-59a5-4d46-b1d1-2b1f4b5f3d7e"

func (s *script) base() []row {
	nowhere, unknown := s.at+"/nothing", digestOf([]byte("nobody has this"))
	return []row{
		{name: "end-1", method: "GET", path: "/v2/", status: 200},
		{name: "end-1 HEAD", method: "HEAD", path: "/v2/"},
		{name: "end-1 without a slash", method: "GET", path: "/v2"},
		{name: "end-8a name unknown", method: "GET", path: nowhere + "/tags/list", status: 404},
		{name: "end-12 name unknown", method: "GET", path: nowhere + "/referrers/" + unknown},
		{name: "end-3 name unknown", method: "GET", path: nowhere + "/manifests/v1", header: accepting(typeManifest)},
		{name: "end-3 HEAD name unknown", method: "HEAD", path: nowhere + "/manifests/v1",
			header: accepting(typeManifest), status: 404},
		{name: "end-3 name unknown, digest", method: "GET", path: nowhere + "/manifests/" + unknown,
			header: accepting(typeManifest)},
		{name: "end-2 name unknown", method: "GET", path: nowhere + "/blobs/" + unknown},
		{name: "end-2 HEAD name unknown", method: "HEAD", path: nowhere + "/blobs/" + unknown, status: 404},
		{name: "end-9 name unknown", method: "DELETE", path: nowhere + "/manifests/" + unknown},
		{name: "end-9 name unknown, tag", method: "DELETE", path: nowhere + "/manifests/v1"},
		{name: "end-10 name unknown", method: "DELETE", path: nowhere + "/blobs/" + unknown},
		{name: "end-13 name unknown", method: "GET", path: nowhere + unknownUpload},
	}
}

func (s *script) uploads() []row {
	a, b := s.blob("chunks")[:100], s.blob("chunks")[100:]
	rest := fmt.Sprintf("100-%d", len(a)+len(b)-1)
	rows := slices.Concat(s.push(s.at, "config"), s.push(s.at, "layer"), s.push(s.at, "config"))
	return append(rows, []row{
		{name: "end-4b", method: "POST", path: s.at + "/blobs/uploads/?digest=" + s.digest("at once"), header: octets,
			body: s.blob("at once")},
		{name: "end-2 HEAD after end-4b", method: "HEAD", path: s.at + "/blobs/" + s.digest("at once")},
		{name: "end-4b digest invalid", method: "POST", path: s.at + "/blobs/uploads/?digest=" + s.digest("another"),
			header: octets, body: s.blob("at once")},
		{name: "end-4b digest malformed", method: "POST", path: s.at + "/blobs/uploads/?digest=sha256:short",
			header: octets, body: s.blob("at once")},
		{name: "end-4b empty", method: "POST", path: s.at + "/blobs/uploads/?digest=" + digestOf(nil), header: octets},
		{name: "end-4b streamed", method: "POST", path: s.at + "/blobs/uploads/?digest=" + s.digest("at once"),
			header: streamed, body: s.blob("at once")},
		{name: "end-4a with a body", method: "POST", path: s.at + "/blobs/uploads/", header: octets,
			body: s.blob("at once")},

		{name: "end-4a for a stream", method: "POST", path: s.at + "/blobs/uploads/", save: "stream"},
		{name: "end-5 stream", method: "PATCH", path: "@stream", header: streamed, body: s.blob("streamed"),
			save: "stream", status: 202},
		{name: "end-6 closes", method: "PUT", path: "@stream&digest=" + s.digest("streamed"), header: octets,
			status: 201},
		{name: "end-2 HEAD after end-6", method: "HEAD", path: s.at + "/blobs/" + s.digest("streamed"), status: 200},
		{name: "end-6 again", method: "PUT", path: "@stream&digest=" + s.digest("streamed"), header: octets},
		{name: "end-13 after end-6", method: "GET", path: "@stream"},

		{name: "end-4a for chunks", method: "POST", path: s.at + "/blobs/uploads/", save: "chunks"},
		{name: "end-13 nothing yet", method: "GET", path: "@chunks", save: "chunks"},
		{name: "end-5 out of order", method: "PATCH", path: "@chunks", header: chunk(rest), body: b},
		{name: "end-13 after that", method: "GET", path: "@chunks", save: "chunks"},
		{name: "end-5 first", method: "PATCH", path: "@chunks", header: chunk("0-99"), body: a, save: "chunks"},
		{name: "end-13", method: "GET", path: "@chunks", save: "chunks"},
		{name: "end-5 first again", method: "PATCH", path: "@chunks", header: chunk("0-99"), body: a},
		{name: "end-5 range of another size", method: "PATCH", path: "@chunks", header: chunk("100-101"), body: b},
		{name: "end-5 range malformed", method: "PATCH", path: "@chunks", header: chunk("from here"), body: b},
		{name: "end-13 once more", method: "GET", path: "@chunks", save: "chunks"},
		{name: "end-6 last chunk", method: "PUT", path: "@chunks&digest=" + s.digest("chunks"), header: chunk(rest),
			body: b},
		{name: "end-2 HEAD after chunks", method: "HEAD", path: s.at + "/blobs/" + s.digest("chunks")},

		{name: "end-4a for two chunks", method: "POST", path: s.at + "/blobs/uploads/", save: "two"},
		{name: "end-5 first of two", method: "PATCH", path: "@two", header: chunk("0-99"), body: a, save: "two"},
		{name: "end-5 second of two", method: "PATCH", path: "@two", header: chunk(rest), body: b, save: "two",
			status: 202},
		{name: "end-6 without a body", method: "PUT", path: "@two&digest=" + s.digest("chunks"), status: 201},

		{name: "end-4a to be refused", method: "POST", path: s.at + "/blobs/uploads/", save: "refused"},
		{name: "end-6 without digest", method: "PUT", path: "@refused", header: octets, body: s.blob("layer")},
		{name: "end-6 digest malformed", method: "PUT", path: "@refused&digest=sha256:short", header: octets,
			body: s.blob("layer")},
		{name: "end-6 algorithm unknown", method: "PUT", path: "@refused&digest=md5:d41d8cd98f00b204e9800998ecf8427e",
			header: octets, body: s.blob("layer")},
		{name: "end-6 digest invalid", method: "PUT", path: "@refused&digest=" + s.digest("another"), header: octets,
			body: s.blob("layer"), status: 400},
		{name: "end-13 after that", method: "GET", path: "@refused"},
		{name: "end-4a for another refusal", method: "POST", path: s.at + "/blobs/uploads/", save: "corrupt"},
		{name: "end-5 corrupt", method: "PATCH", path: "@corrupt", header: octets, body: s.blob("layer"),
			save: "corrupt"},
		{name: "end-6 corrupt", method: "PUT", path: "@corrupt&digest=" + s.digest("another")},
		{name: "end-4a for a closing range", method: "POST", path: s.at + "/blobs/uploads/", save: "closing"},
		{name: "end-6 range out of order", method: "PUT", path: "@closing&digest=" + s.digest("layer"),
			header: chunk(rest), body: b},

		{name: "end-4a to be cancelled", method: "POST", path: s.at + "/blobs/uploads/", save: "cancelled"},
		{name: "end-14", method: "DELETE", path: "@cancelled"},
		{name: "end-13 cancelled", method: "GET", path: "@cancelled"},
		{name: "end-5 cancelled", method: "PATCH", path: "@cancelled", header: octets, body: a},
		{name: "end-6 cancelled", method: "PUT", path: "@cancelled&digest=" + s.digest("layer"), header: octets,
			body: s.blob("layer")},
		{name: "end-14 again", method: "DELETE", path: "@cancelled"},

		{name: "end-4a to be asked oddly", method: "POST", path: s.at + "/blobs/uploads/", save: "odd"},
		{name: "HEAD of an upload", method: "HEAD", path: "@odd"},
		{name: "end-4a empty", method: "POST", path: s.at + "/blobs/uploads/", save: "empty"},
		{name: "end-6 empty", method: "PUT", path: "@empty&digest=" + digestOf(nil), header: octets},
		{name: "end-2 HEAD empty", method: "HEAD", path: s.at + "/blobs/" + digestOf(nil)},
		{name: "end-2 empty", method: "GET", path: s.at + "/blobs/" + digestOf(nil)},

		{name: "end-4a sha512", method: "POST", path: s.at + "/blobs/uploads/", save: "sha512"},
		{name: "end-6 sha512", method: "PUT", path: "@sha512&digest=" + sha512Of(s.blob("sha512")), header: octets,
			body: s.blob("sha512")},
		{name: "end-2 HEAD sha512", method: "HEAD", path: s.at + "/blobs/" + sha512Of(s.blob("sha512"))},
		{name: "end-2 sha512", method: "GET", path: s.at + "/blobs/" + sha512Of(s.blob("sha512"))},
		{name: "end-13 upload unknown", method: "GET", path: s.at + unknownUpload},
		{name: "end-5 upload unknown", method: "PATCH", path: s.at + unknownUpload, header: octets, body: a},
		{name: "end-6 upload unknown", method: "PUT", path: s.at + unknownUpload + "?digest=" + digestOf(a),
			header: octets, body: a},
		{name: "end-14 upload unknown", method: "DELETE", path: s.at + unknownUpload},
		{name: "end-13 upload malformed", method: "GET", path: s.at + "/blobs/uploads/not_an_id"},
		{name: "end-5 state malformed", method: "PATCH", path: s.at + unknownUpload + "?_state=bad", header: octets,
			body: a},
	}...)
}

func (s *script) mounts() []row {
	mount := func(digest, from string) string {
		return s.at + "/blobs/uploads/?mount=" + digest + "&from=" + from
	}
	return append(s.push("/v2/"+s.other, "mounted"), []row{
		{name: "end-11", method: "POST", path: mount(s.digest("mounted"), s.other)},
		{name: "end-2 HEAD mounted", method: "HEAD", path: s.at + "/blobs/" + s.digest("mounted"), status: 200},
		{name: "end-11 of what is not there", method: "POST", path: mount(s.digest("missing"), s.other), status: 202},
		{name: "end-11 from where nothing is", method: "POST", path: mount(s.digest("mounted too"),
			s.other+"/nothing")},
		{name: "end-11 without from", method: "POST", path: s.at + "/blobs/uploads/?mount=" + s.digest("mounted")},
		{name: "end-11 from itself", method: "POST", path: mount(s.digest("layer"), s.at[len("/v2/"):])},
		{name: "end-11 digest malformed", method: "POST", path: mount("sha256:short", s.other)},
		{name: "end-11 name invalid", method: "POST", path: mount(s.digest("mounted"), "UPPER")},
	}...)
}

func (s *script) blobs() []row {
	at, unknown := s.at+"/blobs/"+s.digest("layer"), digestOf([]byte("nobody has this"))
	rows := []row{
		{name: "end-2", method: "GET", path: at, status: 200},
		{name: "end-2 HEAD", method: "HEAD", path: at, status: 200},
		{name: "end-2 unchanged", method: "GET", path: at,
			header: http.Header{"If-None-Match": {`"` + s.digest("layer") + `"`}}},
		{name: "end-2 HEAD unchanged", method: "HEAD", path: at,
			header: http.Header{"If-None-Match": {`"` + s.digest("layer") + `"`}}},
		{name: "end-2 changed", method: "GET", path: at, header: http.Header{"If-None-Match": {`"sha256:other"`}}},
		{name: "end-2 HEAD range", method: "HEAD", path: at, header: ranged("bytes=0-9")},
		{name: "end-2 compressed", method: "GET", path: at, header: http.Header{"Accept-Encoding": {"gzip"}}},
		{name: "end-2 unknown", method: "GET", path: s.at + "/blobs/" + unknown, status: 404},
		{name: "end-2 HEAD unknown", method: "HEAD", path: s.at + "/blobs/" + unknown, status: 404},
		{name: "end-2 unknown, range", method: "GET", path: s.at + "/blobs/" + unknown, header: ranged("bytes=0-9")},
		{name: "end-2 digest malformed", method: "GET", path: s.at + "/blobs/sha256:short"},
		{name: "end-2 HEAD digest malformed", method: "HEAD", path: s.at + "/blobs/sha256:short"},
		{name: "end-2 no digest", method: "GET", path: s.at + "/blobs/v1"},
		{name: "end-2 algorithm unknown", method: "GET", path: s.at + "/blobs/md5:d41d8cd98f00b204e9800998ecf8427e"},
	}
	backwards := map[string][]unlike{"9-0": {{
		kinds: inMemory, answer: `502 Bad Gateway`, reason: "these send a part of the blob that ends before it begins",
	}}}
	for _, r := range []string{"0-9", "10-", "-10", "100-1000000", "1000000-", "9-0", "0-0,5-9", "x"} {
		rows = append(rows, row{name: "end-2 range " + r, method: "GET", path: at, header: ranged("bytes=" + r),
			unlike: backwards[r]})
	}
	return rows
}

func (s *script) badManifests() []row {
	image := s.image(nil)
	sparse := s.index(image, []byte("nobody has this"))
	put := func(name, reference, mediaType string, body []byte) row {
		return row{name: name, method: "PUT", path: s.at + "/manifests/" + reference, header: typed(mediaType),
			body: body}
	}
	nothing := put("end-7 no type", "bad", "", image)
	nothing.header = nil
	incomplete := s.putOther("end-7 blob missing", "incomplete",
		map[string]any{"layers": []descriptor{s.descriptor(typeLayer, "missing")}})
	incomplete.unlike = []unlike{{
		kinds: everyKind, answer: `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"` + s.digest("missing"),
		reason: "no manifest is put whose parts are missing, and the refusal names the part, the owner and who was asked",
	}}
	return []row{
		put("end-7 no JSON", "bad", typeManifest, []byte("{")),
		put("end-7 empty", "bad", typeManifest, nil),
		put("end-7 empty object", "bad", typeManifest, []byte("{}")),
		put("end-7 other JSON", "bad", typeManifest, []byte(`["a"]`)),
		put("end-7 type unknown", "bad", "text/plain", image),
		put("end-7 type of another", "bad", typeIndex, image),
		nothing,
		put("end-7 digest of another", digestOf([]byte("another")), typeManifest, image),
		put("end-7 schema 1", "bad", "application/vnd.docker.distribution.manifest.v1+prettyjws",
			[]byte(`{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[]}`)),
		s.putOther("end-7 too large", "large", map[string]any{"annotations": map[string]string{"a": strings.Repeat("a",
			9<<19)}}),
		put("end-7 digest in a config malformed", "bad", typeManifest,
			[]byte(strings.ReplaceAll(string(image), s.digest("config"), "sha256:short"))),
		incomplete,
		put("end-7 child missing", "sparse", typeIndex, sparse),
		{name: "end-3 refused", method: "GET", path: s.at + "/manifests/bad", header: manifestTypes},
	}
}

func (s *script) manifests() []row {
	image := s.image(nil)
	subject := descriptor{MediaType: typeManifest, Digest: digestOf(image), Size: int64(len(image))}
	artifact := func(kind string, of descriptor) []byte {
		return s.image(map[string]any{
			"config":  descriptor{MediaType: kind, Digest: s.digest("config"), Size: int64(len(s.blob("config")))},
			"subject": of, "annotations": map[string]string{"kind": kind},
		})
	}
	sbom, signature := artifact("application/example.sbom", subject), artifact("application/example.signature", subject)
	orphan := artifact("application/example.sbom", s.descriptor(typeManifest, "never pushed"))
	index := s.index(image, sbom)
	nested := []byte(strings.ReplaceAll(string(s.index(index)), typeManifest, typeIndex))
	foreign := s.image(map[string]any{"layers": []map[string]any{{
		"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "digest": s.digest("elsewhere"),
		"size": 10,
		"urls": []string{"https://store.example.com/layer"},
	}}})
	data := s.image(map[string]any{"config": map[string]any{
		"mediaType": typeConfig, "digest": s.digest("config"), "size": len(s.blob("config")), "data": s.blob("config"),
	}})
	at, byDigest := s.at+"/manifests/", s.at+"/manifests/"+digestOf(image)
	rows := []row{
		s.put("end-7 by tag", "v1", image),
		s.put("end-7 by tag again", "v1", image),
		s.put("end-7 by digest", digestOf(image), image),
		s.put("end-7 another tag", "v2", image),
		s.put("end-7 a third tag", "v3", image),
		s.put("end-7 with a subject", digestOf(sbom), sbom),
		s.put("end-7 with a subject, by tag", "signature", signature),
		s.put("end-7 with a missing subject", digestOf(orphan), orphan),
		s.put("end-7 index", "index", index),
		s.put("end-7 nested index", "nested", nested),
		{name: "end-7 sha512", method: "PUT", path: at + sha512Of(image), header: typed(typeManifest), body: image},
		{name: "end-3 sha512", method: "GET", path: at + sha512Of(image), header: manifestTypes},
		s.put("end-7 empty index", "empty-index", s.index()),
		s.put("end-7 no layers", "no-layers", s.image(map[string]any{"layers": []string{}})),
		{name: "end-7 layers elsewhere", method: "PUT", path: at + "elsewhere", header: typed(typeManifest),
			body: foreign},
		s.put("end-7 data", "data", data),
		s.put("end-7 fields of its own", "fields", s.image(map[string]any{"org.example.field": []int{1}})),
		s.putOther("end-7 large", "large", map[string]any{"annotations": map[string]string{"a": strings.Repeat("a",
			31<<17)}}),
		s.put("end-7 tag parameter", digestOf(image)+"?tag=v4", image),
		{name: "end-3 unknown", method: "GET", path: at + "unknown", header: manifestTypes, status: 404},
		{name: "end-3 HEAD unknown", method: "HEAD", path: at + "unknown", header: manifestTypes, status: 404},
		{name: "end-3 unknown digest", method: "GET", path: at + digestOf([]byte("nobody has this")),
			header: manifestTypes},
		{name: "end-3 HEAD unknown digest", method: "HEAD", path: at + digestOf([]byte("nobody has this")),
			header: manifestTypes},
		{name: "end-3 digest malformed", method: "GET", path: at + "sha256:baddigeststring", header: manifestTypes},
		{name: "end-3 tag malformed", method: "GET", path: at + ".bad", header: manifestTypes},
		{name: "end-3 of a blob", method: "GET", path: at + s.digest("layer"), header: manifestTypes},
		{name: "end-2 of a manifest", method: "GET", path: s.at + "/blobs/" + digestOf(image)},
		{name: "end-3 accepting nothing", method: "GET", path: at + "index"},
		{name: "end-3 accepting another", method: "GET", path: at + "index", header: accepting(typeManifest)},
		{name: "end-3 accepting docker's", method: "GET", path: byDigest,
			header: accepting("application/vnd.docker.distribution.manifest.v2+json")},
		{name: "end-3 accepting two", method: "GET", path: byDigest, header: accepting(typeManifest, typeIndex)},
		{name: "end-3 unchanged", method: "GET", path: at + "v1", header: http.Header{"Accept": {typeManifest},
			"If-None-Match": {`"` + digestOf(image) + `"`}}},
		{name: "end-3 range", method: "GET", path: byDigest, header: http.Header{"Accept": {typeManifest},
			"Range": {"bytes=0-9"}}},
	}
	for _, reference := range []string{"v1", "v4", digestOf(image), "index", digestOf(index), digestOf(sbom),
		"signature", "elsewhere", "data", "nested", "sparse"} {
		rows = append(rows,
			row{name: "end-3 " + reference, method: "GET", path: at + reference, header: manifestTypes},
			row{name: "end-3 HEAD " + reference, method: "HEAD", path: at + reference, header: manifestTypes})
	}
	referrers := s.at + "/referrers/"
	return append(rows, []row{
		{name: "end-12a", method: "GET", path: referrers + digestOf(image)},
		{name: "end-12b", method: "GET", path: referrers + digestOf(image) + "?artifactType=application/example.sbom"},
		{name: "end-12b none", method: "GET", path: referrers + digestOf(image) +
			"?artifactType=application/example.none"},
		{name: "end-12a none", method: "GET", path: referrers + digestOf(index)},
		{name: "end-12a unknown", method: "GET", path: referrers + digestOf([]byte("nobody has this"))},
		{name: "end-12a subject missing", method: "GET", path: referrers + s.digest("never pushed")},
		{name: "end-12a digest malformed", method: "GET", path: referrers + "sha256:short"},
		{name: "end-12a HEAD", method: "HEAD", path: referrers + digestOf(image)},
	}...)
}

// deniedScript asks without a password, with a wrong one, and with the right one.
func deniedScript(t testing.TB) []row {
	var rows []row
	s := &script{t: t, at: "/v2/locked", other: "locked/other"}
	for _, who := range []string{"", "user:wrong", "user:password"} {
		pushes := slices.Concat(s.push(s.at, "config"), s.push(s.at, "layer"))
		if who != "user:password" {
			pushes = pushes[:1] // there is no upload to go on with
		}
		asked := slices.Concat(pushes, []row{
			{name: "end-2", method: "GET", path: s.at + "/blobs/" + s.digest("layer"), status: 200},
			{name: "end-2 HEAD", method: "HEAD", path: s.at + "/blobs/" + s.digest("layer"), status: 200},
			{name: "end-1", method: "GET", path: "/v2/"},
			s.put("end-7", "v1", s.image(nil)),
			{name: "end-3", method: "GET", path: s.at + "/manifests/v1", header: manifestTypes},
			{name: "end-8a", method: "GET", path: s.at + "/tags/list"},
			{name: "end-9", method: "DELETE", path: s.at + "/manifests/" + digestOf(s.image(nil))},
			{name: "end-10", method: "DELETE", path: s.at + "/blobs/" + s.digest("layer")},
			{name: "catalog", method: "GET", path: "/v2/_catalog?n=0"},
		})
		for _, r := range asked {
			r.name, r.header = who+" "+r.name, maps.Clone(r.header)
			if r.header == nil {
				r.header = http.Header{}
			}
			if who != "" {
				r.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(who)))
			}
			if who != "user:password" {
				r.status = http.StatusUnauthorized
			}
			rows = append(rows, r)
		}
	}
	return rows
}

func (s *script) lists() []row {
	at := s.at + "/tags/list"
	return []row{
		{name: "end-8a", method: "GET", path: at, status: 200},
		{name: "end-8a HEAD", method: "HEAD", path: at},
		{name: "end-8b", method: "GET", path: at + "?n=2", save: "page", status: 200},
		{name: "end-8b next page", method: "GET", path: "@page", save: "page"},
		{name: "end-8b last", method: "GET", path: at + "?n=2&last=index"},
		{name: "end-8b last alone", method: "GET", path: at + "?last=v1"},
		{name: "end-8b last of all", method: "GET", path: at + "?n=2&last=zzz"},
		{name: "end-8b all on one page", method: "GET", path: at + "?n=1000"},
		{name: "end-8b none", method: "GET", path: at + "?n=0"},
		{name: "end-8b negative", method: "GET", path: at + "?n=-1", unlike: []unlike{{
			kinds: inMemory, answer: `502 Bad Gateway`, reason: "these panic, which the gateways say in words",
		}}},
		{name: "end-8b no number", method: "GET", path: at + "?n=x"},
		{name: "catalog none", method: "GET", path: "/v2/_catalog?n=0"},
	}
}

func (s *script) unsupported() []row {
	long := strings.Repeat("a/", 127)
	rows := []row{
		{name: "name invalid", method: "GET", path: "/v2/UPPER/tags/list"},
		{name: "name invalid, manifest", method: "GET", path: "/v2/a.-b/manifests/v1"},
		{name: "name invalid, blob", method: "HEAD", path: "/v2/-a/blobs/" + digestOf([]byte("nobody has this"))},
		ours(row{name: "name invalid, upload", method: "POST", path: "/v2/UPPER/blobs/uploads/"}, "NAME_INVALID"),
		{name: "name of 255", method: "GET", path: "/v2/" + long + "a/tags/list"},
		{name: "name too long", method: "GET", path: "/v2/" + long + "aa/tags/list"},
		ours(row{name: "name too long, upload", method: "POST", path: "/v2/" + long + "aa/blobs/uploads/"},
			"NAME_INVALID"),
		{name: "no name", method: "GET", path: "/v2/tags/list"},
		{name: "no endpoint", method: "GET", path: s.at + "/unknown/v1"},
		{name: "no endpoint below", method: "GET", path: s.at + "/manifests/v1/more"},
		{name: "a slash more", method: "GET", path: s.at + "/tags/list/"},
		{name: "uploads without a slash", method: "POST", path: s.at + "/blobs/uploads"},
	}
	for _, method := range []string{"POST", "PATCH", "OPTIONS", "PUT", "DELETE"} {
		for _, path := range []string{"/manifests/v1", "/blobs/" + s.digest("layer"), "/tags/list", "/referrers/" +
			s.digest("layer"), "/blobs/uploads/"} {
			pushes := strings.Contains(path, "manifests") && (method == "PUT" || method == "DELETE") ||
				strings.Contains(path, "blobs/s") && method == "DELETE" || strings.Contains(path, "uploads") &&
				method == "POST"
			if !pushes {
				rows = append(rows, unsupported(method, s.at+path))
			}
		}
		rows = append(rows, unsupported(method, "/v2/"))
	}
	return append(rows,
		row{name: "unsupported", method: "GET", path: s.at + "/blobs/uploads/"},
		row{name: "unsupported", method: "HEAD", path: s.at + "/blobs/uploads/"},
		unsupported("FETCH", s.at+"/manifests/v1"),
	)
}

// unsupported: what may change something is refused, the rest is the registry's to answer.
func unsupported(method, path string) row {
	r := row{name: "unsupported", method: method, path: path}
	if method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions {
		return r
	}
	return ours(r, "UNSUPPORTED")
}

// ours is answered by the gateway.
func ours(r row, answer string) row {
	r.unlike = []unlike{{kinds: everyKind, answer: answer,
		reason: "what is not exactly a path and a method of the spec reaches no registry if it writes"}}
	return r
}

func (s *script) deletes() []row {
	image := s.image(nil)
	at := s.at + "/manifests/"
	rows := []row{
		{name: "end-9 tag", method: "DELETE", path: at + "v2"},
		{name: "end-3 deleted tag", method: "GET", path: at + "v2", header: manifestTypes},
		{name: "end-3 HEAD deleted tag", method: "HEAD", path: at + "v2", header: manifestTypes},
		{name: "end-9 tag again", method: "DELETE", path: at + "v2"},
		{name: "end-8a after a tag was deleted", method: "GET", path: s.at + "/tags/list"},
		{name: "end-9", method: "DELETE", path: at + digestOf(image), status: 202},
		{name: "end-3 deleted", method: "GET", path: at + digestOf(image), header: manifestTypes, status: 404},
		{name: "end-3 HEAD deleted", method: "HEAD", path: at + digestOf(image), header: manifestTypes},
		{name: "end-3 deleted, by its tag", method: "GET", path: at + "v1", header: manifestTypes},
		{name: "end-9 again", method: "DELETE", path: at + digestOf(image)},
		{name: "end-8a after a manifest was deleted", method: "GET", path: s.at + "/tags/list"},
		{name: "end-9 unknown", method: "DELETE", path: at + digestOf([]byte("nobody has this"))},
		{name: "end-9 unknown tag", method: "DELETE", path: at + "unknown"},
		ours(row{name: "end-9 digest malformed", method: "DELETE", path: at + "sha256:short"}, "DIGEST_INVALID"),
		{name: "end-10", method: "DELETE", path: s.at + "/blobs/" + s.digest("layer")},
		{name: "end-2 HEAD deleted", method: "HEAD", path: s.at + "/blobs/" + s.digest("layer")},
		{name: "end-2 deleted", method: "GET", path: s.at + "/blobs/" + s.digest("layer")},
		{name: "end-10 again", method: "DELETE", path: s.at + "/blobs/" + s.digest("layer")},
		{name: "end-10 unknown", method: "DELETE", path: s.at + "/blobs/" + digestOf([]byte("nobody has this"))},
		ours(row{name: "end-10 digest malformed", method: "DELETE", path: s.at + "/blobs/sha256:short"},
			"DIGEST_INVALID"),
	}
	for i := range rows {
		rows[i].deletes = true
	}
	return rows
}
