package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// TestDeletedWhileItIsHealed: a blob that another replica has is copied home, which is held open at each step while the
// blob is deleted. In the end nobody has it, and from the deletion on nobody is told that it exists.
func TestDeletedWhileItIsHealed(t *testing.T) {
	blob := "/v2/app/blobs/" + sha256Of([]byte("config"))
	for _, c := range []struct {
		name, at, method, path string
		served                 bool
	}{
		{"before the source answers", "east", http.MethodGet, "/blobs/sha256:", false},
		{"before the upload begins", "west", http.MethodPost, "/uploads/", false},
		{"before the body", "west", http.MethodPatch, "/uploads/", false},
		{"before the commit", "west", http.MethodPut, "/uploads/", false},
		{"after the commit", "west", http.MethodPut, "/uploads/", true},
	} {
		for _, heard := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, heard: %v", c.name, heard), func(t *testing.T) {
				stores, handlers := map[string]store{}, map[string]http.HandlerFunc{}
				reached, open := make(chan struct{}), make(chan struct{})
				var once sync.Once
				for name := range points {
					stores[name] = newStore(t)
					handlers[name] = func(w http.ResponseWriter, r *http.Request) {
						if r.Method == http.MethodDelete && !stores[name].has(r.URL.Path) {
							http.NotFound(w, r) // it says 500 itself
							return
						}
						if name != c.at || r.Method != c.method || !strings.Contains(r.URL.Path, c.path) {
							stores[name].ServeHTTP(w, r)
							return
						}
						hold := func() { once.Do(func() { close(reached); <-open }) }
						if !c.served {
							hold()
						}
						answer := httptest.NewRecorder()
						stores[name].ServeHTTP(answer, r)
						if c.served {
							hold()
						}
						for key, values := range answer.Header() {
							w.Header()[key] = values
						}
						w.WriteHeader(answer.Code)
						_, _ = w.Write(answer.Body.Bytes())
					}
				}
				var mu sync.Mutex
				var brought []string
				g := newRig(t, handlers, func(c *rigConfig) {
					c.UnseenDeletes = !heard
					c.told.brought = func(what ledger.Reference, replica string) {
						mu.Lock()
						defer mu.Unlock()
						brought = append(brought, what.Name+" to "+replica)
					}
				})
				stores["east"].blob("config")
				g.proxy.leases.accept(t.Context(), "app", "west", alice, time.Now())
				g.want(g.do("HEAD "+blob, nil), 200, "east; reason=fallthrough")
				await(t, reached, "the copy")
				if heard {
					if got := g.do("DELETE "+blob, nil); got.status != 202 {
						close(open)
						t.Fatal(got)
					}
				} else {
					stores["east"].ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, blob, nil))
				}
				close(open)
				g.proxy.healer.all.Wait()
				for name, at := range stores {
					if at.has(blob) {
						t.Errorf("%s has it", name)
					}
				}
				if got := g.do("HEAD "+blob, nil); got.status != 404 {
					t.Errorf("HEAD: %v", got)
				}
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(brought, []string{sha256Of([]byte("config")) + " to west"}) {
					t.Errorf("said to be brought: %q", brought)
				}
			})
		}
	}
}

// TestADeletedBlobExistsNowhereElse: a replica that gives out what was deleted, although it has said that it is rid of
// it, is not listened to, and nothing is copied from it.
func TestADeletedBlobExistsNowhereElse(t *testing.T) {
	s := newScattered(t)
	blob := "/v2/app/blobs/" + sha256Of([]byte("config"))
	s.at["west"].blob("config")
	s.at["east"].blob("config")
	s.want(s.do("DELETE "+blob, nil), 202, "west; reason=nearest")
	s.at["east"].blob("config") // a copy that came after the deletion
	s.want(s.do("HEAD "+blob, nil), 404, "west; reason=leased")
	s.want(s.putManifest("v1", imageOf("config")), 400, "west; reason=scattered")
	if s.at["west"].has(blob) {
		t.Error("it was copied back")
	}
}

// TestATagThatIsDeletedByAStandIn: what regctl puts under a tag to delete it is nobody's push.
func TestATagThatIsDeletedByAStandIn(t *testing.T) {
	s := newScattered(t)
	record := s.proxy.Ledger.(*memoryLedger)
	s.tagAt("west", "v1", "config of an image")
	config := `{"architecture":"amd64","os":"linux","config":{"Labels":` +
		`{"delete-date":"2026-11-29 00:00:00 +0000 UTC","delete-tag":"v1"}},"rootfs":{"type":"layers"}}`
	for _, blob := range []string{config, "{}"} {
		s.want(s.do("POST "+uploads+"?digest="+sha256Of([]byte(blob)), strings.NewReader(blob)), 201,
			"west; reason="+map[string]string{config: "nearest", "{}": "leased"}[blob])
	}
	standIn := imageOf(config, "{}")
	s.want(s.putManifest("v1", standIn, "User-Agent: regctl"), 201, "west; reason=leased")
	// says that it is of another tag
	s.want(s.putManifest("v2", standIn, "User-Agent: regctl"), 201, "west; reason=leased")
	want := []string{"untag v1 regctl", "push v2"}
	if len(record.told) != 2 || record.told[0] != want[0] || !strings.HasPrefix(record.told[1], want[1]) {
		t.Errorf("got %q, want %q", record.told, want)
	}
}

// TestACopyIsNotReadBeforeItIsSure: where gateways do not know each other, what one is still writing at a replica does
// not count as there: it may have been deleted by another one.
func TestACopyIsNotReadBeforeItIsSure(t *testing.T) {
	for unheard, by := range map[bool]string{false: "west; reason=nearest", true: "europe; reason=fallthrough"} {
		s := newScattered(t, func(c *rigConfig) { c.UnseenDeletes = unheard })
		digest := sha256Of([]byte("config"))
		s.at["west"].blob("config")
		s.at["europe"].blob("config")
		_, done, err := s.proxy.Writes.Write(t.Context(),
			transfer.Name{Replica: "west", Repository: "app", Reference: digest, Blob: true})
		if err != nil {
			t.Fatal(err)
		}
		s.want(s.do("GET /v2/app/blobs/"+digest, nil), 200, by)
		s.want(s.do("GET /v2/other/blobs/"+digest, nil), 200, "west; reason=nearest")
		done(nil)
		s.want(s.do("GET /v2/app/blobs/"+digest, nil), 200, "west; reason=nearest")
	}
}

// watched calls whoever looks on at each push that is recorded.
type watched struct {
	*memoryLedger
	push func(what ledger.Reference)
}

func (w watched) Push(what ledger.Reference, content ledger.Content, replica string, by ledger.Request) error {
	w.push(what)
	return w.memoryLedger.Push(what, content, replica, by)
}

// TestNobodyDeletesWhatAClientPuts: from before a client's write is sent until it is recorded nobody deletes the same
// there in our name, nor what a manifest brings to life again; and then somebody may.
func TestNobodyDeletesWhatAClientPuts(t *testing.T) {
	config, image := sha256Of([]byte("config")), imageOf("config")
	blob, digest, tag := ledger.Reference{Repository: "app", Name: config, Blob: true},
		ledger.Reference{Repository: "app", Name: sha256Of(image)}, ledger.Reference{Repository: "app", Name: "v1"}
	for _, c := range []struct {
		name string
		put  func(s scattered) reply
		held []ledger.Reference
	}{
		{"a blob", func(s scattered) reply {
			return s.do("POST "+uploads+"?digest="+config, strings.NewReader("config"))
		}, []ledger.Reference{blob}},
		{"a tag", func(s scattered) reply { return s.putManifest("v1", image) }, []ledger.Reference{tag, digest, blob}},
		{"a manifest", func(s scattered) reply { return s.putManifest(digest.Name, image) },
			[]ledger.Reference{digest, blob}},
		{"a tag of a replica by name", func(s scattered) reply {
			return s.putManifest("v1", image, "Host: west.registry.contoso.com")
		}, []ledger.Reference{tag}},
	} {
		t.Run(c.name, func(t *testing.T) {
			over, end := context.WithCancel(t.Context())
			end()
			var s scattered
			var sent, recorded atomic.Int32
			free := func(of ledger.Reference) bool {
				done, _, err := s.proxy.Writes.Delete(over,
					transfer.Name{Replica: "west", Repository: of.Repository, Reference: of.Name, Blob: of.Blob})
				if err == nil {
					done()
				}
				return err == nil
			}
			held := func(when string) {
				for _, of := range c.held {
					if free(of) {
						t.Errorf("%s: somebody may delete %v", when, of)
					}
				}
			}
			record := watched{newMemoryLedger(), func(ledger.Reference) { recorded.Add(1); held("recorded") }}
			record.of[blob] = ledger.Entry{Digest: config, Deleted: true, Confirmed: []string{"east"}}
			s = newScattered(t, func(c *rigConfig) {
				c.Ledger = record
				for i := range c.reach.Endpoints {
					if c.reach.Endpoints[i].Name == "west" {
						c.reach.Endpoints[i].URL = watchedUpstream(t, c.reach.Endpoints[i].URL,
							func() { sent.Add(1); held("sent") })
					}
				}
			})
			if c.name != "a blob" {
				s.at["west"].blob("config")
			}
			if got := c.put(s); got.status != 201 || sent.Load() != 1 || c.name != "a tag of a replica by name" &&
				recorded.Load() == 0 {
				t.Fatal(got, sent.Load(), recorded.Load())
			}
			for _, of := range c.held {
				if !free(of) {
					t.Errorf("nobody may ever delete %v", of)
				}
			}
		})
	}
}

// watchedUpstream is a way to an upstream on which somebody looks on at each write.
func watchedUpstream(t *testing.T, to *url.URL, writes func()) *url.URL {
	way := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			writes()
		}
		way.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	u, _ := url.Parse(server.URL)
	return u
}

// TestABlobThatWasDeletedIsAskedFor: another gateway, that has not heard of the later push, may have deleted it since
// it was committed.
func TestABlobThatWasDeletedIsAskedFor(t *testing.T) {
	s := newScattered(t)
	record := s.proxy.Ledger.(*memoryLedger)
	config := sha256Of([]byte("config"))
	record.of[ledger.Reference{Repository: "app", Name: config, Blob: true}] = ledger.Entry{Digest: config,
		Deleted: true, Confirmed: []string{"east"}}
	s.want(s.do("POST "+uploads+"?digest="+config, strings.NewReader("config")), 201, "west; reason=nearest")
	s.at["west"].ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/v2/app/blobs/"+config, nil))
	s.want(s.putManifest("v1", imageOf("config")), 400, "west; reason=scattered")
}

// TestWhatCannotBeUndoneIsLookedAt: the client may push, and not delete. What was pushed to the owner meanwhile is
// left alone.
func TestWhatCannotBeUndoneIsLookedAt(t *testing.T) {
	blob := ledger.Reference{Repository: "app", Name: sha256Of([]byte("config")), Blob: true}
	for _, pushed := range []bool{false, true} {
		var rechecked []ledger.Reference
		deletions := 0
		g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				deletions++
			}
			w.WriteHeader(http.StatusForbidden)
		}}, func(c *rigConfig) {
			c.told.recheck = func(what ledger.Reference, replica string) {
				if replica == "west" {
					rechecked = append(rechecked, what)
				}
			}
		})
		if pushed {
			g.proxy.Ledger.(*memoryLedger).of[blob] = ledger.Entry{Digest: blob.Name, Confirmed: []string{"west"}}
		}
		p := pushing{repository: "app", owner: "west", host: "registry.contoso.com",
			gone: func(manifest.Descriptor) bool { return false }}
		ownWrite{g.proxy.healer, p, manifest.Descriptor{Digest: blob.Name},
			g.proxy.Upstreams.Reach("east")}.undo(t.Context(), false)
		if !slices.Equal(rechecked, []ledger.Reference{blob}) || deletions > 0 == pushed {
			t.Errorf("pushed: %v, deletions: %d, to be looked at: %v", pushed, deletions, rechecked)
		}
	}
}
