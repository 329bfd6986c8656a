package proxy

import (
	"net/http"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// Artifactory, GitLab, Harbor and ECR say 401 or 403 of a repository that is not there.
func TestDenials(t *testing.T) {
	const login = "Authorization: Bearer x"
	challenge := status(401, `Www-Authenticate: Bearer realm="https://auth.example/token"`)
	blob := "GET /v2/app/blobs/" + digest
	for _, test := range []struct {
		name               string
		line, header       string
		west, east, europe http.HandlerFunc
		status             int
		by                 string
	}{
		{"without a login: its challenge", blob, "", challenge, status(200), nil, 401, "west; reason=nearest"},
		{"with a login: not there, perhaps", blob, login, challenge, status(200), nil, 200, "east; reason=fallthrough"},
		{"without a login, at a registry that lets anybody in", blob, "", letsIn(challenge), status(200), nil, 200,
			"east; reason=fallthrough"},
		{"403", blob, "", status(403), status(200), nil, 200, "east; reason=fallthrough"},
		{"a tag", "GET /v2/app/manifests/v1", login, challenge, nil, status(200), 200, "europe; reason=fallthrough"},
		{"a manifest's HEAD", "HEAD " + byDigest, login, challenge, status(200), nil, 200, "east; reason=fallthrough"},
		{"a blob's HEAD", "HEAD /v2/app/blobs/" + digest, login, challenge, status(200), nil, 200,
			"east; reason=fallthrough"},
		{"a list of tags", "GET /v2/app/tags/list", login, status(403), status(200), nil, 200,
			"east; reason=fallthrough"},
		{"referrers", "GET /v2/app/referrers/" + digest, login, status(403), status(200), nil, 200,
			"east; reason=fallthrough"},
		{"by everybody: the client may not", blob, login, challenge, challenge, status(403), 401,
			"west; reason=nearest"},
		{"another let it look: it is not there", blob, login, challenge, nil, nil, 404, "east; reason=fallthrough"},
		{"in the other order", blob, login, nil, challenge, status(403), 404, "west; reason=nearest"},
		{"the others in trouble: its login may have ended", blob, login, challenge, breakOff, breakOff, 401,
			"west; reason=nearest"},
		{"the others fail", blob, login, challenge, status(500), status(500), 401, "west; reason=nearest"},
		{"let look, and one could not be asked", blob, login, challenge, nil, breakOff, 502,
			"europe; reason=fallthrough"},
		{"what is no repository's", "GET /v2/", login, challenge, status(200), nil, 401, "west; reason=nearest"},
		{"the catalog", "GET /v2/_catalog", login, challenge, status(200), nil, 401, "west; reason=nearest"},
		{"a push", "POST " + uploads, login, challenge, status(202), nil, 401, "west; reason=nearest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west, "east": test.east, "europe": test.europe},
				nil)
			var headers []string
			if test.header != "" {
				headers = []string{test.header}
			}
			got := g.do(test.line, nil, headers...)
			g.want(got, test.status, test.by)
			if got.status == 401 && got.header.Get("Www-Authenticate") == "" {
				t.Error("without its challenge")
			}
		})
	}
}

// Where nobody asks for a login but for what is not there, the layers are had where the manifest was.
func TestLayersFollowTheManifest(t *testing.T) {
	denied := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == byDigest {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": denied, "east": status(200)}, nil)
	layer := "GET /v2/app/blobs/" + digest
	g.want(g.do(layer, nil), 401, "west; reason=nearest")
	g.want(g.do("GET "+byDigest, nil), 200, "east; reason=fallthrough")
	g.want(g.do(layer, nil), 200, "east; reason=fallthrough")
	g.want(g.do("GET /v2/other/blobs/"+digest, nil), 401, "west; reason=nearest")
}

// The one that has it says that this client may not: a login that has ended has to be heard of.
func TestADenialOfWhoHasIt(t *testing.T) {
	record := newMemoryLedger()
	g := newRig(t, map[string]http.HandlerFunc{"west": status(401, "Www-Authenticate: Bearer")},
		func(c *rigConfig) { c.Ledger = record })
	_ = record.Push(ledger.Reference{Repository: "app", Name: "v1"}, ledger.Content{Digest: digest}, "west",
		ledger.Request{})
	for _, line := range []string{tagged, "GET " + byDigest} {
		if got := g.do(line, nil, "Authorization: Bearer ended"); got.status != 401 ||
			got.header.Get("Www-Authenticate") == "" {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// Whether a replica lets anybody in is not for one client to say for the others.
func TestOpenDoorsAreAskedInOurOwnName(t *testing.T) {
	var hosts []string
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			hosts = append(hosts, r.Host)
		}
		if r.URL.Path != "/v2/" || r.Host == "registry.contoso.com" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}, "east": status(200)}, nil)
	g.want(g.do("GET "+byDigest, nil, "Host: evil.example"), 401, "west; reason=nearest")
	g.want(g.do("GET "+byDigest, nil), 401, "west; reason=nearest")
	if len(hosts) != 1 || hosts[0] != "registry.contoso.com" {
		t.Errorf("asked as %q", hosts)
	}
}

// letsIn answers the version check to anybody.
func letsIn(then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			then(w, r)
		}
	}
}
