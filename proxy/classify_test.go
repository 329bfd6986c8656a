package proxy

import (
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/router"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestClassify(t *testing.T) {
	long := strings.Repeat("a", 256)
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
		"/v2/app/manifests/..": false, "/v2/app/manifests/v1//": false, "/v2/..;/metrics": false, "/v2/%2e%2e/metrics": false, "/v2/\x1b": false, `/v2/..\metrics`: false,
	} {
		if got := routable(path, listed); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, seed := range []string{"/v2/", "/v2/a/manifests/v1", "/v2/a/blobs/uploads/1", "/v2/a/b/tags/list", "/v2/../x", "/v2/%2e%2e/"} {
		f.Add("GET", seed)
		f.Add("PUT", seed)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		if !routable(path, nil) {
			return
		}
		if strings.Contains(path, "..") && strings.Contains("/"+path+"/", "/../") {
			t.Fatalf("%q is routable", path)
		}
		got := classify(method, path)
		if got.repository != "" && !strings.HasPrefix(path, "/v2/"+got.repository+"/") {
			t.Fatalf("%q: repository %q", path, got.repository)
		}
		if (got.kind == router.Write || got.kind == router.Upload || got.kind == router.Exists) && !validRepository(got.repository) {
			t.Fatalf("%s %q: %s without a repository", method, path, got.kind)
		}
	})
}
