package proxy

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
)

// content passes for a manifest and for a blob; digest is its own.
const (
	content = `{"a":1}`
	digest  = "sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
)

func TestClassify(t *testing.T) {
	const hex = "e3b0c4"
	long, tag128 := strings.Repeat("a", 256), strings.Repeat("a", 128)
	for _, test := range []struct {
		method, path string
		want         target
	}{
		{"GET", "/v2", target{kind: router.Ping}},
		{"GET", "/v2/", target{kind: router.Ping}},
		{"GET", "/v2/_catalog", target{kind: router.Ping}},
		{"GET", "/service/token", target{kind: router.Ping}},

		{"GET", "/v2/app/blobs/" + digest, target{router.Pull, "app", digest, false, true}},
		{"HEAD", "/v2/app/blobs/" + digest, target{router.Exists, "app", digest, false, true}},
		{"DELETE", "/v2/app/blobs/" + digest, target{router.Write, "app", digest, false, true}},
		{"GET", "/v2/team/app/manifests/v1", target{router.Fresh, "team/app", "v1", true, false}},
		{"HEAD", "/v2/team/app/manifests/v1", target{router.Fresh, "team/app", "v1", true, false}},
		{"GET", "/v2/app/manifests/" + digest, target{router.Pull, "app", digest, true, false}},
		{"HEAD", "/v2/app/manifests/" + digest, target{router.Pull, "app", digest, true, false}},
		{"PUT", "/v2/app/manifests/v1", target{router.Write, "app", "v1", true, false}},
		{"DELETE", "/v2/app/manifests/v1", target{router.Write, "app", "v1", true, false}},
		{"POST", "/v2/app/blobs/uploads/", target{router.Write, "app", "", false, false}},
		{"POST", "/v2/app/blobs/uploads", target{router.Write, "app", "", false, false}},
		{"PATCH", "/v2/app/blobs/uploads/1-2", target{router.Upload, "app", "1-2", false, false}},
		{"PUT", "/v2/app/blobs/uploads/1-2", target{router.Upload, "app", "1-2", false, false}},
		{"GET", "/v2/app/blobs/uploads/1-2", target{router.Upload, "app", "1-2", false, false}},
		{"DELETE", "/v2/app/blobs/uploads/1-2", target{router.Upload, "app", "1-2", false, false}},
		{"PATCH", "/v2/app/blobs/uploads/a/b", target{router.Upload, "app", "a/b", false, false}},
		{"GET", "/v2/app/tags/list", target{router.Fresh, "app", "", false, false}},
		{"GET", "/v2/app/referrers/" + digest, target{router.Fresh, "app", digest, false, false}},

		// Names that hold the words which end a name.
		{"GET", "/v2/a/manifests/b/manifests/v1", target{router.Fresh, "a/manifests/b", "v1", true, false}},
		{"GET", "/v2/a/tags/list/tags/list", target{router.Fresh, "a/tags/list", "", false, false}},
		{"POST", "/v2/a/blobs/uploads/b/blobs/uploads/", target{router.Write, "a/blobs/uploads/b", "", false, false}},
		{"GET", "/v2/a/blobs/uploadsx/manifests/v1", target{router.Fresh, "a/blobs/uploadsx", "v1", true, false}},
		{"PUT", "/v2/x/blobs/uploads/manifests/v1", target{router.Write, "x/blobs/uploads", "v1", true, false}},
		{"PUT", "/v2/x/blobs/uploads/y/manifests/v1", target{router.Write, "x/blobs/uploads/y", "v1", true, false}},
		{"PUT", "/v2/x/manifests/y/manifests/" + digest, target{router.Write, "x/manifests/y", digest, true, false}},
		{"DELETE", "/v2/x/blobs/uploads/blobs/" + digest, target{router.Write, "x/blobs/uploads", digest, false, true}},
		{"GET", "/v2/x/blobs/uploads/tags/list", target{router.Fresh, "x/blobs/uploads", "", false, false}},
		{"GET", "/v2/x/blobs/uploads/y/referrers/" + digest,
			target{router.Fresh, "x/blobs/uploads/y", digest, false, false}},
		{"POST", "/v2/x/blobs/uploads/blobs/uploads/", target{router.Write, "x/blobs/uploads", "", false, false}},
		{"PATCH", "/v2/x/blobs/uploads/blobs/uploads/1-2",
			target{router.Upload, "x/blobs/uploads", "1-2", false, false}},
		{"PUT", "/v2/x/manifests/blobs/uploads/1-2", target{router.Upload, "x/manifests", "1-2", false, false}},
		{"PUT", "/v2/x/blobs/uploads/Manifests/v1", target{kind: router.Other}},
		{"PUT", "/v2/x/blobs/uploads/manifests/v1/", target{kind: router.Other}},
		{"PATCH", "/v2/x/blobs/uploads/1-2/", target{router.Upload, "x", "1-2/", false, false}},

		// Token services of some registries, and extensions.
		{"POST", "/v2/token", target{kind: router.Ping}},
		{"GET", "/v2/auth", target{kind: router.Ping}},
		{"GET", "/v2/_oci/ext/discover", target{kind: router.Other}},
		{"GET", "/v2/_ext", target{kind: router.Other}},

		// A write names exactly what it writes; who only asks may ask for anything.
		{"PUT", "/v2/app/manifests/" + tag128, target{router.Write, "app", tag128, true, false}},
		{"PUT", "/v2/app/manifests/" + tag128 + "a", target{router.Other, "app", tag128 + "a", true, false}},
		{"GET", "/v2/app/manifests/" + tag128 + "a", target{router.Fresh, "app", tag128 + "a", true, false}},
		{"DELETE", "/v2/app/manifests/.v1", target{router.Other, "app", ".v1", true, false}},
		{"HEAD", "/v2/app/manifests/.v1", target{router.Fresh, "app", ".v1", true, false}},
		{"PUT", "/v2/app/manifests/v1?x", target{router.Other, "app", "v1?x", true, false}},
		{"PUT", "/v2/app/manifests/v1@" + digest, target{router.Other, "app", "v1@" + digest, true, false}},
		{"PUT", "/v2/app/manifests/sha256:" + hex, target{router.Other, "app", "sha256:" + hex, true, false}},
		{"PUT", "/v2/app/manifests/SHA256:" + digest[7:],
			target{router.Other, "app", "SHA256:" + digest[7:], true, false}},
		{"PUT", "/v2/app/manifests/sha256:" + strings.ToUpper(digest[7:]),
			target{router.Other, "app", "sha256:" + strings.ToUpper(digest[7:]), true, false}},
		{"PUT", "/v2/app/manifests/sha512:" + digest[7:],
			target{router.Other, "app", "sha512:" + digest[7:], true, false}},
		{"PUT", "/v2/app/manifests/sha512:" + digest[7:] + digest[7:],
			target{router.Write, "app", "sha512:" + digest[7:] + digest[7:], true, false}},
		{"PUT", "/v2/app/manifests/blake3:" + digest[7:],
			target{router.Write, "app", "blake3:" + digest[7:], true, false}},
		{"DELETE", "/v2/app/blobs/v1", target{router.Other, "app", "v1", false, true}},
		{"DELETE", "/v2/app/blobs/uploads", target{router.Other, "app", "", false, false}},

		// No method of the spec.
		{"put", "/v2/app/manifests/v1", target{router.Other, "app", "v1", true, false}},
		{"PUT", "/v2/app/blobs/" + digest, target{router.Other, "app", digest, false, true}},
		{"PUT", "/v2/app/tags/list", target{router.Other, "app", "", false, false}},
		{"DELETE", "/v2/app/tags/list", target{router.Other, "app", "", false, false}},
		{"PUT", "/v2/app/referrers/" + digest, target{router.Other, "app", digest, false, false}},
		{"POST", "/v2/app/blobs/uploads/1-2", target{router.Other, "app", "1-2", false, false}},
		{"OPTIONS", "/v2/app/blobs/uploads/1-2", target{router.Other, "app", "1-2", false, false}},

		// What no repository can be called is the registry's to refuse.
		{"PUT", "/v2/App/manifests/v1", target{kind: router.Other}},
		{"PUT", "/v2/" + long + "/manifests/v1", target{kind: router.Other}},
		{"PUT", "/v2/a..b/manifests/v1", target{kind: router.Other}},
		{"PUT", "/v2/manifests/v1", target{kind: router.Other}},
		{"GET", "/v2/app/manifests/", target{kind: router.Other}},
		{"POST", "/v2/app/manifests/v1", target{router.Other, "app", "v1", true, false}},
		{"PUT", "/v2/app/blobs/uploads/", target{router.Other, "app", "", false, false}},
		{"GET", "/v2/app/unknown/x", target{kind: router.Other}},
	} {
		if got := classify(test.method, test.path); got != test.want {
			t.Errorf("%s %s: %+v, want %+v", test.method, test.path, got, test.want)
		}
	}
}

func TestRoutable(t *testing.T) {
	listed := []string{"/service/token"}
	for path, want := range map[string]bool{
		"/v2": true, "/v2/": true, "/v2/app/manifests/v1": true, "/v2/app/blobs/uploads/": true,
		"/service/token": true,
		"/":              false, "": false, "/metrics": false, "/v2x": false, "/v1/": false,
		"/service/token/x": false, "/service/tokens": false,
		"/v2/../metrics": false, "/v2/./": false, "/v2//app/manifests/v1": false, "//v2/": false,
		"/v2/app/manifests/..": false, "/v2/app/manifests/v1//": false, "/v2/..;/metrics": false,
		"/v2/%2e%2e/metrics": false, "/v2/\x1b": false, `/v2/..\metrics`: false,
	} {
		if got := routable(path, listed); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}

// inSpec are the paths of the spec, each by an expression of its own.
var inSpec = func() (all []*regexp.Regexp) {
	const part = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	const name = "^/v2/(" + part + "(?:/" + part + ")*)"
	for _, end := range []string{
		`/manifests/([^/]+)`, `/blobs/([^/]+)`, `/blobs/uploads/?()`, `/blobs/uploads/([^/]+)`, `/tags/list()`,
		`/referrers/([^/]+)`,
	} {
		all = append(all, regexp.MustCompile(name+end+"$"))
	}
	return all
}()

// readSlowly is what a path says to a registry that tries one expression after the other, in whatever order.
func readSlowly(p string) (repository, reference string, matches int) {
	for _, form := range inSpec {
		found := form.FindStringSubmatch(p)
		if found == nil || len(found[1]) > oci.MaxRepository || form == inSpec[1] && found[2] == "uploads" {
			continue
		}
		if form == inSpec[3] && hasNoun(found[2]) {
			continue // no registry calls an upload so
		}
		repository, reference = found[1], found[2]
		matches++
	}
	return repository, reference, matches
}

// render is the path that a target was read from.
func (t target) render() string {
	noun := "referrers/"
	switch {
	case t.manifest:
		noun = "manifests/"
	case t.blob:
		noun = "blobs/"
	case t.kind == router.Upload, t.kind == router.Write:
		noun = "blobs/uploads/"
	case t.reference == "":
		noun = "tags/list"
	}
	return "/v2/" + t.repository + "/" + noun + t.reference
}

func FuzzClassify(f *testing.F) {
	for _, seed := range []string{
		"/v2/", "/v2/a/manifests/v1", "/v2/a/blobs/uploads/1", "/v2/a/b/tags/list", "/v2/../x", "/v2/%2e%2e/",
		"/v2/token",
		"/v2/x/blobs/uploads/manifests/v1", "/v2/x/blobs/uploads/blobs/uploads/1", "/v2/x/blobs/uploads/Manifests/v1",
		"/v2/A/manifests/v1",
		"/v2/a/manifests/v1/", "/v2/a/Manifests/v1", "/v2/a%2Fmanifests/v1", "/v2/x/manifests/blobs%2Fuploads/y",
		"/v2/a/blobs/uploads/1/",
		"/v2/a/referrers/" + digest, "/v2/a/blobs/" + digest,
	} {
		for _, method := range []string{"GET", "PUT", "PATCH", "POST", "DELETE", "put", "OPTIONS"} {
			f.Add(method, seed)
		}
	}
	f.Fuzz(func(t *testing.T, method, uri string) {
		u, err := url.ParseRequestURI(uri)
		if err != nil || !routable(u.Path, nil) {
			return
		}
		path := u.Path
		if strings.Contains(path, "..") && strings.Contains("/"+path+"/", "/../") {
			t.Fatalf("%q is routable", path)
		}
		got := classify(method, path)
		passes := refusalOf(method, u, got) == nil
		repository, reference, forms := readSlowly(path)
		switch {
		case forms > 1:
			t.Fatalf("%q can be read in %d ways", path, forms)
		case forms == 1 && (got.repository != repository || got.reference != reference):
			t.Fatalf("%q: %+v, want %q %q", path, got, repository, reference)
		case forms == 0 && got.repository != "" && !strings.HasPrefix(path, "/v2/"+got.repository+"/blobs/uploads/"):
			t.Fatalf("%q: %+v is no path of the spec", path, got)
		case got.kind == router.Other && passes && !onlyReads(method):
			t.Fatalf("%s %q reaches a registry", method, path)
		case got.kind == router.Ping && passes && !onlyReads(method) &&
			(method != "POST" || !isService(strings.TrimPrefix(path, "/v2/"))):
			t.Fatalf("%s %q reaches a registry", method, path)
		case !passes || got.kind == router.Other || got.kind == router.Ping:
			return
		}
		if again := got.render(); again != path && again != path+"/" {
			t.Fatalf("%s %q: %+v is %q", method, path, got, again)
		}
		if got.spell(u); got.kind != router.Upload &&
			u.EscapedPath() != (&url.URL{Path: got.render()}).EscapedPath() && u.EscapedPath()+"/" != got.render() {
			t.Fatalf("%s %q is sent as %q", method, uri, u.EscapedPath())
		}
	})
}
