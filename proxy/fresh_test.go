package proxy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// referrers lists descriptors, as end-12 has it.
func referrers(digests ...string) http.HandlerFunc {
	list := []any{}
	for _, d := range digests {
		list = append(list, map[string]any{"mediaType": typeImage, "digest": d, "size": 1})
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", typeIndex)
		_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": list})
	}
}

func linked(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `</v2/app/referrers/`+digest+`?n=2>; rel="next"`)
		next(w, r)
	}
}

func TestAnswersThatAnotherMayBetter(t *testing.T) {
	const blob, list = "GET /v2/app/blobs/" + digest, "GET /v2/app/referrers/" + digest
	for _, test := range []struct {
		name      string
		line      string
		headers   []string
		upstreams upstreams
		status    int
		by        string
		body      string // a part of it
		asked     int
	}{
		{"referrers that the nearest does not have yet", list, nil,
			upstreams{"west": referrers(), "east": referrers(), "europe": referrers("sha256:1")},
			200, "europe; reason=fallthrough", "sha256:1", 3},
		{"referrers that the nearest has", list, nil,
			upstreams{"west": referrers("sha256:2"), "east": referrers("sha256:1")},
			200, "west; reason=nearest", "sha256:2", 1},
		{"referrers that nobody has", list, nil,
			upstreams{"west": referrers(), "east": referrers(), "europe": referrers()},
			200, "west; reason=nearest", `"manifests":[]`, 3},
		{"no referrers where some do not know of such things", list, nil,
			upstreams{"west": status(404), "east": referrers(), "europe": status(404)},
			200, "east; reason=fallthrough", `"manifests":[]`, 3},
		{"no referrers where one cannot be asked", list, nil,
			upstreams{"west": referrers(), "east": breakOff, "europe": referrers()},
			200, "west; reason=nearest", `"manifests":[]`, 3},
		{"an empty first page of referrers", list, nil,
			upstreams{"west": linked(referrers()), "east": referrers("sha256:1")},
			200, "west; reason=nearest", `"manifests":[]`, 1},
		{"a long list of referrers", list, nil,
			upstreams{"west": referrers(strings.Split(strings.Repeat("sha256:2 ", 500), " ")...),
				"east": referrers("sha256:1")},
			200, "west; reason=nearest", "sha256:2", 1},

		{"no referrers, and who is asked next refuses", list, nil,
			upstreams{"west": referrers(), "east": status(401), "europe": status(429)},
			200, "west; reason=nearest", `"manifests":[]`, 4 /* one of them whether it lets anybody in */},
		{"a blob resumed where ranges are ignored, and the next refuses", blob, []string{"Range: bytes=3-"},
			upstreams{"west": status(200), "east": status(403), "europe": theRest},
			206, "europe; reason=fallthrough", "", 3},
		{"a blob resumed where ranges are ignored", blob, []string{"Range: bytes=3-"},
			upstreams{"west": status(200), "east": theRest, "europe": theRest},
			206, "east; reason=fallthrough", "", 2},
		{"all ignore ranges", blob, []string{"Range: bytes=3-"},
			upstreams{"west": status(200), "east": status(200), "europe": status(200)},
			200, "west; reason=nearest", content, 3},
		{"a range from the start", blob, []string{"Range: bytes=0-2"}, upstreams{"west": status(200), "east": theRest},
			200, "west; reason=nearest", content, 1},
		{"a range of what may have changed", blob, []string{"Range: bytes=3-", `If-Range: "x"`},
			upstreams{"west": status(200), "east": theRest},
			200, "west; reason=nearest", content, 1},
		{"a range beyond the end", blob, []string{"Range: bytes=3-"}, upstreams{"west": status(416), "east": theRest},
			416, "west; reason=nearest", "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, test.upstreams, nil)
			got := g.do(test.line, nil, test.headers...)
			g.want(got, test.status, test.by)
			if !strings.Contains(got.body, test.body) {
				t.Errorf("got %s", got.body)
			}
			if seen := g.take(); len(seen) != test.asked {
				t.Errorf("asked %q", seen)
			}
		})
	}
}

// tagAt puts an image with only a config behind the gateway's back.
func (s scattered) tagAt(replica, tag, config string) (content []byte, digest string) {
	s.t.Helper()
	content = imageOf(config)
	s.at[replica].blob(config)
	s.at[replica].put("/v2/app/manifests/"+tag, typeImage, content)
	return content, sha256Of(content)
}

const tagged = "GET /v2/app/manifests/v1"

// A tag that was pushed through us is never answered with an older digest, wherever that still stands.
func TestATagDoesNotGoBack(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(s scattered)
		status int
		by     string
	}{
		{"its owner answers", func(scattered) {}, 200, "west; reason=leased"},
		{"its owner is called down, and answers", func(s scattered) { s.set("west", down) }, 200,
			"west; reason=failover"},
		{"its owner is down, another has it", func(s scattered) {
			s.set("west", down)
			s.tagAt("europe", "v1", "new")
		}, 200, "europe; reason=failover"},
		{"another push has moved the lease", func(s scattered) {
			s.set("west", down)
			s.at["east"].blob("other")
			s.want(s.putManifest("v2", imageOf("other")), 201, "east; reason=failover")
			s.set("west", func(r *router.Replica) { r.Upstream.Up = true })
		}, 200, "west; reason=fallthrough"},
		{"its owner is down and shares its storage", func(s scattered) {
			s.set("west", func(r *router.Replica) { r.Storage = "bucket" })
			s.set("europe", func(r *router.Replica) { r.Storage = "bucket" })
			s.tagAt("europe", "v1", "newer")
			s.set("west", down)
		}, 200, "europe; reason=nearest"},
		{"it was deleted behind our back", func(s scattered) { s.at["west"].do("DELETE", "/v2/app/manifests/v1") },
			404, "west; reason=leased"},
		{"its lease has ended, and it was pushed behind our back", func(s scattered) {
			s.proxy.leases.revoke("app", "west", nil)
			s.tagAt("west", "v1", "newer")
		}, 200, "west; reason=nearest"},
		{"it was pushed behind our back", func(s scattered) { s.tagAt("west", "v1", "newer") }, 200,
			"west; reason=leased"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScattered(t)
			s.tagAt("east", "v1", "old")
			s.at["west"].blob("new")
			s.want(s.putManifest("v1", imageOf("new")), 201, "west; reason=nearest")
			test.change(s)
			got := s.do(tagged, nil, "Accept: "+typeImage, "If-None-Match: \""+sha256Of(imageOf("old"))+"\"")
			if got.status != test.status || !strings.HasPrefix(got.by, strings.Split(test.by, ";")[0]) {
				t.Errorf("got %v, want %d %s", got, test.status, test.by)
			}
			if strings.Contains(got.body, sha256Of([]byte("old"))) {
				t.Error("the older one came back")
			}
		})
	}
}

// What another tag of the same repository was is not known, and another gateway's push may be newer than ours.
func TestWhatIsNotKnownOfTags(t *testing.T) {
	s := newScattered(t)
	s.tagAt("east", "v2", "other")
	s.at["west"].blob("new")
	s.want(s.putManifest("v1", imageOf("new")), 201, "west; reason=nearest")
	s.want(s.do("GET /v2/app/manifests/v2", nil, "Accept: "+typeImage), 200, "east; reason=fallthrough")
	s.tagAt("europe", "v1", "newest")
	s.proxy.leases.agreed = owned("europe")
	s.want(s.do(tagged, nil, "Accept: "+typeImage), 200, "europe; reason=leased")
}

// owned is an agreement on one owner of everything.
type ownedBy struct {
	alone
	owner string
}

func owned(by string) ownedBy { return ownedBy{owner: by} }

func (o ownedBy) Owner(string) string { return o.owner }

// The digest that a tag was resolved to, its referrers and its signatures are asked for where that was.
func TestDigestFollow(t *testing.T) {
	s := newScattered(t)
	content, digest := s.tagAt("europe", "v1", "new")
	s.tagAt("europe", strings.Replace(digest, ":", "-", 1)+".sig", "signature")
	s.tagAt("west", strings.Replace(digest, ":", "-", 1)+".sig", "older signature")
	s.want(s.do("GET /v2/app/manifests/"+digest, nil), 200, "europe; reason=fallthrough")
	s.want(s.do(tagged, nil), 200, "europe; reason=fallthrough")
	for _, line := range []string{
		"GET /v2/app/manifests/" + digest, "HEAD /v2/app/manifests/" + digest, "GET /v2/app/referrers/" + digest,
		"GET /v2/app/manifests/" + strings.Replace(digest, ":", "-", 1) + ".sig",
	} {
		s.want(s.do(line, nil), 200, "europe; reason=followed")
	}
	if got := s.do("GET /v2/app/blobs/"+sha256Of([]byte("new")), nil); got.by != "europe; reason=fallthrough" {
		t.Errorf("layers stay with the nearest that has them: %v", got)
	}
	s.at["west"].manifest(content)
	s.set("europe", down)
	s.want(s.do("GET /v2/app/manifests/"+digest, nil), 200, "west; reason=nearest")
}

func TestBelongsTo(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	for path, want := range map[string]string{
		"manifests/sha256:" + hex: "sha256:" + hex, "referrers/sha256:" + hex: "sha256:" + hex,
		"blobs/sha256:" + hex:     "",
		"manifests/sha256-" + hex: "sha256:" + hex, "manifests/sha256-" + hex + ".sig": "sha256:" + hex,
		"manifests/v1": "", "manifests/v1-2": "", "tags/list": "",
	} {
		if got := classify("GET", "/v2/app/"+path).belongsTo(); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// do asks behind the gateway's back.
func (s store) do(method, path string) int {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code
}

func TestDelete(t *testing.T) {
	image := imageOf("config")
	byDigest := "/v2/app/manifests/" + sha256Of(image)
	blob := "/v2/app/blobs/" + sha256Of([]byte("config"))
	for _, test := range []struct {
		name   string
		line   string
		at     []string // who has it
		change func(s scattered)
		status int
		by     string
		left   []string // who has it after that
		gone   int      // what a pull gets then
	}{
		{"everywhere", "DELETE " + byDigest, []string{"west", "east", "europe"}, nil, 202, "west; reason=nearest", nil,
			404},
		{"not at the nearest", "DELETE " + byDigest, []string{"europe"}, nil, 202, "europe; reason=fallthrough", nil,
			404},
		{"nowhere", "DELETE " + byDigest, nil, nil, 404, "west; reason=nearest", nil, 404},
		{"one is down", "DELETE " + byDigest, []string{"west", "east"}, func(s scattered) { s.set("east", down) }, 202,
			"west; reason=nearest", []string{"east"}, 404},
		{"not at the nearest, and one is down", "DELETE " + byDigest, []string{"east", "europe"},
			func(s scattered) { s.set("east", down) }, 202, "europe; reason=fallthrough", []string{"east"}, 404},
		{"a tag", "DELETE /v2/app/manifests/v1", []string{"west", "east"}, nil, 202, "west; reason=nearest", nil, 404},
		{"a blob", "DELETE " + blob, []string{"west", "east"}, nil, 202, "west; reason=nearest", nil, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScattered(t)
			for _, name := range test.at {
				s.tagAt(name, "v1", "config")
			}
			if test.change != nil {
				test.change(s)
			}
			s.want(s.do(test.line, nil), test.status, test.by)
			path := strings.TrimPrefix(test.line, "DELETE ")
			for name, at := range s.at {
				want := false
				for _, left := range test.left {
					want = want || left == name
				}
				if at.has(path) != want {
					t.Errorf("%s has it: %v", name, !want)
				}
			}
			s.set("east", func(r *router.Replica) { r.Upstream.Up = true })
			for _, method := range []string{"GET", "HEAD"} {
				if got := s.do(method+" "+path, nil); got.status != test.gone {
					t.Errorf("%s: %v", method, got)
				}
			}
		})
	}
}

// What was deleted does not come back from a replica that was away: by its digest, by a tag that still stands there, or
// by healing. Pushed anew it is there again.
func TestTheDeletedStaysDeleted(t *testing.T) {
	s := newScattered(t)
	image, digest := s.tagAt("east", "v1", "config")
	s.tagAt("west", "v1", "config")
	s.set("east", down)
	s.want(s.do("DELETE /v2/app/manifests/"+digest, nil), 202, "west; reason=nearest")
	s.at["west"].do("DELETE", "/v2/app/manifests/v1") // which most registries do by themselves
	s.want(s.do("DELETE /v2/app/blobs/"+sha256Of([]byte("config")), nil), 202, "west; reason=leased")
	s.set("east", func(r *router.Replica) { r.Upstream.Up = true })
	s.want(s.do("HEAD /v2/app/manifests/"+digest, nil), 404, "west; reason=leased")
	if got := s.do(tagged, nil); got.status != 404 || !strings.Contains(got.body, "MANIFEST_UNKNOWN") {
		t.Errorf("by its tag: %v", got)
	}
	s.putManifest("v2", indexOf(image)) // which the registry refuses
	if s.at["west"].has("/v2/app/manifests/" + digest) {
		t.Error("healing brought it back")
	}
	s.want(s.putManifest("v1", image), 400, "west; reason=scattered")
	s.proxy.leases.revoke("app", "west", nil)
	s.proxy.leases.accept(t.Context(), "app", "east", bob, start)
	s.want(s.do("POST "+uploads+"?digest="+sha256Of([]byte("config")), strings.NewReader("config")), 201,
		"west; reason=bound")
	s.want(s.putManifest("v1", image), 201, "west; reason=leased")
	s.want(s.do(tagged, nil), 200, "west; reason=leased")
	s.want(s.do("GET /v2/app/manifests/"+digest, nil), 200, "west; reason=nearest")
	s.set("west", down)
	s.want(s.do("GET /v2/app/manifests/"+digest, nil), 200, "east; reason=failover")
}

// What this client's push had there is there no longer.
func TestADeletedPartIsAskedForAgain(t *testing.T) {
	s := newScattered(t)
	s.want(s.do("POST "+uploads+"?digest="+sha256Of([]byte("config")), strings.NewReader("config")), 201,
		"west; reason=nearest")
	s.want(s.do("DELETE /v2/app/blobs/"+sha256Of([]byte("config")), nil), 202, "west; reason=leased")
	s.want(s.putManifest("v1", imageOf("config")), 400, "west; reason=scattered")
}

// A replica that cannot be made to delete must not answer for what others have deleted, not even to a client that
// pushes: it would skip what is about to be missing.
func TestAReplicaThatDoesNotDelete(t *testing.T) {
	at := newStore(t)
	east := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		at.ServeHTTP(w, r)
	}
	west := newStore(t)
	g := newRig(t, map[string]http.HandlerFunc{"west": west.ServeHTTP, "east": east}, nil)
	at.blob("config")
	west.blob("config")
	path := "/v2/app/blobs/" + sha256Of([]byte("config"))
	g.want(g.do("DELETE "+path, nil), 202, "west; reason=nearest")
	g.want(g.do("GET "+path, nil), 404, "west; reason=nearest")
	g.set("west", down)
	g.want(g.do("GET "+path, nil), 404, "europe; reason=fallthrough")
	g.proxy.leases.revoke("app", "west", nil)
	g.proxy.leases.accept(t.Context(), "app", "east", bob, start)
	g.proxy.leases.accept(t.Context(), "app", "east", bob, time.Now())
	got := g.do("HEAD "+path, nil)
	g.want(got, 404, "-; reason=deleted")
	g.want(g.do("POST "+uploads+"?digest="+sha256Of([]byte("config")), strings.NewReader("config")), 201,
		"east; reason=leased")
	g.want(g.do("HEAD "+path, nil), 200, "east; reason=leased")
}

// A replica that missed a deletion takes what is pushed to it, by this gateway, by its own name, or by other gateways.
func TestWhatIsPushedAnewIsThere(t *testing.T) {
	config := "/v2/app/blobs/" + sha256Of([]byte("config"))
	for name, push := range map[string]func(s scattered){
		"the tag": func(s scattered) {
			s.want(s.putManifest("v1", imageOf("config")), 201, "east; reason=failover")
		},
		"by another gateway, to the owner that all agree on": func(s scattered) {
			s.tagAt("east", "v1", "config")
			s.proxy.leases.agreed = owned("east")
		},
		"by the replica's own name": func(s scattered) {
			s.want(s.do("POST "+uploads+"?digest="+sha256Of([]byte("config")), strings.NewReader("config"),
				"Host: east.registry.contoso.com"), 201, "east; reason=named")
			s.want(s.putManifest("v1", imageOf("config"), "Host: east.registry.contoso.com"), 201, "east; reason=named")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScattered(t)
			s.tagAt("west", "v1", "config")
			s.tagAt("east", "v1", "config")
			s.set("east", down)
			for _, path := range []string{"/v2/app/manifests/v1", "/v2/app/manifests/" + sha256Of(imageOf("config")),
				config} {
				if got := s.do("DELETE "+path, nil); got.status != 202 {
					t.Fatal(path, got)
				}
			}
			s.proxy.leases = newLeases(time.Minute, nil, maxRemembered)
			s.set("east", func(r *router.Replica) { r.Upstream.Up = true })
			s.set("west", down)
			s.set("europe", down)
			if got := s.do(tagged, nil); got.status != 404 {
				t.Errorf("before: %v", got)
			}
			push(s)
			for _, path := range []string{"/v2/app/manifests/v1", "/v2/app/manifests/" + sha256Of(imageOf("config")),
				config} {
				if got := s.do("GET "+path, nil); got.status != 200 {
					t.Errorf("%s: %v", path, got)
				}
			}
		})
	}
}

// A deletion that one replica missed is completed by asking for it again.
func TestADeletionIsCompleted(t *testing.T) {
	s := newScattered(t)
	_, digest := s.tagAt("west", "v1", "config")
	s.tagAt("east", "v1", "config")
	s.set("east", down)
	s.want(s.do("DELETE /v2/app/manifests/"+digest, nil), 202, "west; reason=nearest")
	s.set("east", func(r *router.Replica) { r.Upstream.Up = true })
	s.want(s.do("DELETE /v2/app/manifests/"+digest, nil), 202, "east; reason=fallthrough")
	if s.at["east"].has("/v2/app/manifests/" + digest) {
		t.Error("still there")
	}
	s.at["east"].manifest(imageOf("config"))
	s.want(s.do("GET /v2/app/manifests/"+digest, nil), 200, "east; reason=fallthrough")
}

// What somebody who cannot be asked has may be what was to be deleted.
func TestADeletionThatNobodyCanConfirm(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"east": breakOff, "europe": status(403)}, nil)
	g.want(g.do("DELETE "+byDigest, nil), 403, "europe; reason=fallthrough")
	g = newRig(t, map[string]http.HandlerFunc{"east": breakOff}, nil)
	g.want(g.do("DELETE "+byDigest, nil), 502, "east; reason=fallthrough")
}

func TestARefusedDeleteIsTheAnswer(t *testing.T) {
	for code := range map[int]bool{401: true, 403: true, 405: true, 429: true} {
		g := newRig(t, map[string]http.HandlerFunc{"west": status(code), "east": status(202)}, nil)
		g.want(g.do("DELETE "+byDigest, nil), code, "west; reason=nearest")
		if seen := g.take(); len(seen) != 1 {
			t.Errorf("%d: %q", code, seen)
		}
	}
}

// 405 to a write is how pull-through caches and registries under maintenance answer.
func TestReadOnlyReplicas(t *testing.T) {
	readOnly := func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		http.NotFound(w, r)
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": readOnly, "east": accepts, "europe": accepts}, nil)
	g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
	if seen := g.take(); len(seen) != 2 {
		t.Errorf("asked %q", seen)
	}
	g.proxy.leases.revoke("app", "east", nil)
	g.proxy.leases.bind("app", "", addrOf("127.0.0.1:1"), start)
	g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
	if seen := g.take(); len(seen) != 1 {
		t.Errorf("known by now, asked %q", seen)
	}
	g.want(g.do("POST /v2/other/blobs/uploads/", nil), 202, "east; reason=failover")
	if seen := g.take(); len(seen) != 2 {
		t.Errorf("another repository, asked %q", seen)
	}
	g.want(g.do("GET "+byDigest, nil), 202, "east; reason=fallthrough")

	t.Run("an owner that has become so", func(t *testing.T) {
		g := newRig(t, map[string]http.HandlerFunc{"west": readOnly, "east": accepts}, nil)
		g.proxy.leases.accept(t.Context(), "app", "west", bob, start)
		g.proxy.leases.agreed = &endable{owner: "west"}
		g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
	})
	t.Run("an owner that all agree on has become so", func(t *testing.T) {
		g := newRig(t, map[string]http.HandlerFunc{"west": readOnly, "east": accepts}, nil)
		g.proxy.leases.agreed = &releasable{owner: "west"}
		g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
		g.want(g.do("POST "+uploads, nil), 202, "east; reason=leased")
	})
	t.Run("something is locked there", func(t *testing.T) {
		g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, _ *http.Request) {
			writeError(w, 405, ociError{Code: "REGISTRY_DISALLOWED_OPERATION"})
		}, "east": accepts}, nil)
		for _, line := range []string{"POST " + uploads, "PUT /v2/app/manifests/v1"} {
			g.want(g.do(line, nil), 405, "west; reason=nearest")
		}
	})
	t.Run("all are", func(t *testing.T) {
		g := newRig(t, map[string]http.HandlerFunc{"west": readOnly, "east": readOnly, "europe": readOnly}, nil)
		if got := g.do("POST "+uploads, nil); got.status != 405 {
			t.Errorf("%v", got)
		}
		if seen := g.take(); len(seen) != 4 {
			t.Errorf("asked %q", seen)
		}
	})
	t.Run("what cannot be sent twice", func(t *testing.T) {
		reads := func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			readOnly(w, r)
		}
		g := newRig(t, map[string]http.HandlerFunc{"west": reads, "east": accepts}, nil)
		post := func(size int) reply {
			return g.do("POST "+uploads+"?digest="+digest, bytes.NewReader(random(size)))
		}
		g.want(post(maxKept+1), 405, "west; reason=nearest")
		g.want(post(maxKept), 202, "east; reason=failover")
	})
}

// TestReplicasThatFailWrites: a registry whose disk is full says 500 or 507. Whatever binds a push to it, the push
// goes elsewhere.
func TestReplicasThatFailWrites(t *testing.T) {
	t.Parallel()
	failing := func(code int, methods ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch {
			case slices.Contains(methods, r.Method):
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(code)
			case r.Method == http.MethodGet, r.Method == http.MethodHead:
				http.NotFound(w, r)
			default:
				accepts(w, r)
			}
		}
	}
	rigWith := func(t *testing.T, west http.HandlerFunc) *rig {
		return newRig(t, map[string]http.HandlerFunc{"west": west, "east": accepts, "europe": accepts}, nil)
	}
	for _, code := range []int{500, 502, 503, 507} {
		t.Run(fmt.Sprint("bound, ", code), func(t *testing.T) {
			g := rigWith(t, failing(code, http.MethodPost))
			g.proxy.leases.bind("app", "west", addrOf("127.0.0.1:1"), time.Now())
			g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
			g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}")), 201, "east; reason=leased")
		})
	}
	t.Run("leased", func(t *testing.T) {
		g := rigWith(t, failing(500, http.MethodPost))
		g.proxy.leases.accept(t.Context(), "app", "west", bob, time.Now())
		g.proxy.leases.agreed = &releasable{owner: "west"}
		g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
		g.want(g.do("POST "+uploads, nil), 202, "east; reason=leased")
	})
	for what, line := range map[string]string{"a part": "PATCH " + uploads + "1?fairlead-replica=west",
		"a manifest": "PUT /v2/app/manifests/v1"} {
		t.Run(what, func(t *testing.T) {
			g := rigWith(t, failing(507, http.MethodPatch, http.MethodPut))
			g.proxy.leases.accept(t.Context(), "app", "west", bob, time.Now())
			g.proxy.leases.agreed = &releasable{owner: "west"}
			if got := g.do(line, strings.NewReader("{}")); got.status != 507 {
				t.Errorf("%v", got)
			}
			g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
		})
	}
	t.Run("no part of a push moves others", func(t *testing.T) {
		g := rigWith(t, failing(507, http.MethodPatch))
		g.proxy.leases.accept(t.Context(), "app", "west", bob, time.Now())
		g.do("PATCH "+uploads+"1?fairlead-replica=west", strings.NewReader("x"))
		if names := g.proxy.readOnly.names(time.Now(), "app"); len(names) > 0 {
			t.Error("for everybody:", names)
		}
	})
	t.Run("all do", func(t *testing.T) {
		full := failing(500, http.MethodPost)
		g := newRig(t, map[string]http.HandlerFunc{"west": full, "east": full, "europe": full}, nil)
		if got := g.do("POST "+uploads, nil); got.status != 500 {
			t.Errorf("%v", got)
		}
	})
	t.Run("501 is no fault", func(t *testing.T) {
		g := rigWith(t, failing(501, http.MethodPost))
		g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover") // it is tried elsewhere
		g.proxy.leases.revoke("app", "east", nil)
		g.proxy.leases.bind("app", "", addrOf("127.0.0.1:1"), start)
		g.take()
		g.do("POST "+uploads, nil)
		if seen := g.take(); !strings.HasPrefix(seen[0], "west ") {
			t.Errorf("asked %q", seen)
		}
	})
	t.Run("500 to a part says nothing of the next push", func(t *testing.T) {
		g := rigWith(t, failing(500, http.MethodPatch, http.MethodPut))
		g.do("PATCH "+uploads+"1?fairlead-replica=west", strings.NewReader("x"))
		g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}"))
		g.proxy.leases.revoke("app", "east", nil)
		g.proxy.leases.bind("app", "", addrOf("127.0.0.1:1"), start)
		g.want(g.do("POST "+uploads, nil), 202, "west; reason=nearest")
	})
}

// endable is an agreement that ends when it is told to.
type endable struct {
	alone
	owner string
}

func (e *endable) Owner(string) string       { return e.owner }
func (e *endable) RevokeLost(string, string) { e.owner = "" }

// releasable is an agreement on an owner until that is released.
type releasable struct {
	alone
	owner string
}

func (r *releasable) Owner(string) string           { return r.owner }
func (r *releasable) RevokeReadOnly(string, string) { r.owner = "" }
func (r *releasable) Accept(_ context.Context, _, replica string) string {
	r.owner = cmp.Or(r.owner, replica)
	return r.owner
}

// Replicas that share their storage are one place with two doors.
func TestSharedStorage(t *testing.T) {
	shared := func(r *router.Replica) { r.Storage = "bucket" }
	g := newRig(t, map[string]http.HandlerFunc{"east": breakOff}, nil)
	g.set("west", shared)
	g.set("europe", shared)
	got := g.do("GET "+byDigest, nil)
	if seen := g.take(); got.status != 502 || len(seen) != 2 {
		t.Errorf("%v; asked %q", got, seen)
	}

	s := newScattered(t)
	bucket := s.at["west"]
	s.rig = newRig(t, map[string]http.HandlerFunc{"west": bucket.ServeHTTP, "europe": bucket.ServeHTTP,
		"east": s.at["east"].ServeHTTP}, nil)
	s.set("west", shared)
	s.set("europe", shared)
	bucket.blob("config")
	s.want(s.putManifest("v1", imageOf("config")), 201, "west; reason=nearest")
	s.take()
	s.want(s.do("DELETE /v2/app/manifests/"+sha256Of(imageOf("config")), nil), 202, "west; reason=leased")
	want := "[west DELETE /v2/app/manifests/%[1]s east DELETE /v2/app/manifests/%[1]s]"
	if seen := s.take(); fmt.Sprint(seen) != fmt.Sprintf(want, sha256Of(imageOf("config"))) {
		t.Errorf("asked %q", seen)
	}
	if got := s.putManifest("v2", imageOf("nowhere")); got.status != 400 ||
		!strings.Contains(got.body, `"asked":["east"]`) {
		t.Errorf("%v", got)
	}
}
