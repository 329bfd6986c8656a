package proxy

import (
	"net/http"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
)

// west has an image, by the ledger, and cannot be asked.
func TestWhatIsHeldIsNotAbsent(t *testing.T) {
	isDown := map[string]func(*router.Replica){"west": down}
	offline := map[string]func(*router.Replica){"west": func(r *router.Replica) { r.Operator = router.Offline }}
	const tag, layer = "GET /v2/app/manifests/v1", "GET /v2/app/blobs/" + digest
	for _, test := range []struct {
		name, line string
		west       http.HandlerFunc
		change     map[string]func(*router.Replica)
		status     int
		by         string
	}{
		{"its tag", tag, breakOff, isDown, 503, "west; reason=holder_down"},
		{"its tag, before the probes know", tag, breakOff, nil, 503, "west; reason=holder_down"},
		{"its tag, taken out by the operator", tag, status(200), offline, 503, "east; reason=holder_down"},
		{"its tag's HEAD", "HEAD /v2/app/manifests/v1", breakOff, isDown, 503, "west; reason=holder_down"},
		{"its digest", "GET " + byDigest, breakOff, isDown, 503, "west; reason=holder_down"},
		{"a layer, which may be of it", layer, breakOff, isDown, 503, "east; reason=holder_down"},
		{"the list of its repository's tags", "GET /v2/app/tags/list", breakOff, isDown, 503,
			"east; reason=holder_down"},
		{"nonsense is no answer, and none is missing", tag, status(304), nil, 502, "west; reason=nearest"},
		{"the probes are wrong", tag, status(200), isDown, 200, "west; reason=fallthrough"},
		{"it has lost it", tag, nil, nil, 404, "west; reason=nearest"},
		{"a tag that nobody knows", "GET /v2/app/manifests/v2", breakOff, isDown, 404, "east; reason=failover"},
		{"a layer of a repository that nobody knows", "GET /v2/other/blobs/" + digest, breakOff, isDown, 404,
			"east; reason=failover"},
		{"whoever pushes is told what is missing", "HEAD /v2/app/blobs/" + digest, breakOff, isDown, 404,
			"east; reason=failover"},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := newMemoryLedger()
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west}, func(c *rigConfig) { c.Ledger = record })
			for name, change := range test.change {
				g.set(name, change)
			}
			if err := record.Push(ledger.Reference{Repository: "app", Name: "v1"}, ledger.Content{Digest: digest},
				"west", ledger.Request{}); err != nil {
				t.Fatal(err)
			}
			got := g.do(test.line, nil)
			g.want(reply{status: got.status, by: got.by}, test.status, test.by)
			if (got.header.Get("Retry-After") != "") != (test.status == 503) {
				t.Errorf("%v", got.header)
			}
		})
	}
}

// What was deleted is absent, whatever else its repository has.
func TestADeletedLayerIsAbsent(t *testing.T) {
	record := newMemoryLedger()
	g := newRig(t, nil, func(c *rigConfig) { c.Ledger = record })
	g.set("west", down)
	_ = record.Push(ledger.Reference{Repository: "app", Name: "v1"}, ledger.Content{Digest: digest}, "west",
		ledger.Request{})
	_ = record.Delete(ledger.Reference{Repository: "app", Name: digest, Blob: true}, "east", ledger.Request{})
	record.Confirm(ledger.Reference{Repository: "app", Name: digest, Blob: true}, "europe")
	g.want(g.do("GET /v2/app/blobs/"+digest, nil), 404, "east; reason=failover")
}

// Whoever shares its storage with one that was heard was heard as well; and a list's next page is asked of one replica
// alone.
func TestWhoWasHeard(t *testing.T) {
	record := newMemoryLedger()
	g := newRig(t, nil, func(c *rigConfig) { c.Ledger = record })
	for _, name := range []string{"west", "east"} {
		g.set(name, func(r *router.Replica) { r.Storage = "bucket" })
	}
	_ = record.Push(ledger.Reference{Repository: "app", Name: "v1"}, ledger.Content{Digest: digest}, "east",
		ledger.Request{})
	g.want(g.do("GET /v2/app/blobs/"+digest, nil), 404, "west; reason=nearest")
	g.want(g.do("GET /v2/app/tags/list", nil), 404, "west; reason=nearest")
	g.want(g.do("GET /v2/app/tags/list?last=v0&fairlead-replica=europe", nil), 404, "europe; reason=owner")
}

// What was taken away around us is recorded when somebody deletes it: else it would be held for ever by who is down.
func TestADeletionOfWhatIsGone(t *testing.T) {
	record := newMemoryLedger()
	g := newRig(t, nil, func(c *rigConfig) { c.Ledger = record })
	_ = record.Push(ledger.Reference{Repository: "app", Name: "v1"}, ledger.Content{Digest: digest}, "europe",
		ledger.Request{})
	g.want(g.do("DELETE "+byDigest, nil), 404, "west; reason=nearest")
	if known, _ := record.Known(ledger.Reference{Repository: "app", Name: digest}); !known.Deleted {
		t.Errorf("%+v", known)
	}
}

// A deletion is not said to be of nothing while whoever has it cannot be asked, nor refused by who does not have it.
func TestDeletionOfWhatIsHeld(t *testing.T) {
	const login = "Authorization: Bearer x"
	for _, test := range []struct {
		name             string
		west, east, held http.HandlerFunc // europe has it
		change           map[string]func(*router.Replica)
		header           string
		status           int
		by               string
	}{
		{"by all that are up", nil, nil, status(202), nil, login, 202, "europe; reason=fallthrough"},
		{"its holder is down", nil, nil, breakOff, map[string]func(*router.Replica){"europe": down}, login, 503,
			"west; reason=holder_down"},
		{"its holder does not have it either", nil, nil, nil, nil, login, 404, "west; reason=nearest"},
		{"the nearest denies it: it is not there", status(401), nil, status(202), nil, login, 202,
			"europe; reason=fallthrough"},
		{"to a client without a login: the challenge", status(401), nil, status(202), nil, "Accept: */*", 401,
			"west; reason=nearest"},
		{"denied by all", status(403), status(403), status(403), nil, login, 403, "west; reason=nearest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := newMemoryLedger()
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west, "east": test.east, "europe": test.held},
				func(c *rigConfig) { c.Ledger = record })
			for name, change := range test.change {
				g.set(name, change)
			}
			_ = record.Push(ledger.Reference{Repository: "app", Name: "v1"}, ledger.Content{Digest: digest}, "europe",
				ledger.Request{})
			got := g.do("DELETE "+byDigest, nil, test.header)
			g.want(reply{status: got.status, by: got.by}, test.status, test.by)
		})
	}
}

// TestMissed: a pull of what a replica is known to have, and does not have any more, is told of. A deletion is not.
func TestMissed(t *testing.T) {
	for line, want := range map[string]bool{
		"GET " + byDigest: true, "HEAD " + byDigest: true, "DELETE " + byDigest: false,
	} {
		var missed []string
		known := newMemoryLedger()
		known.of[ledger.Reference{Repository: "app", Name: digest}] = ledger.Entry{
			Digest: digest, Confirmed: []string{"east", "west"},
		}
		g := newRig(t, map[string]http.HandlerFunc{"west": status(404), "east": status(202)}, func(c *rigConfig) {
			c.Ledger = known
			c.told.missed = func(_ ledger.Reference, replica string) { missed = append(missed, replica) }
		})
		g.do(line, nil)
		if got := len(missed) == 1 && missed[0] == "west"; got != want || !want && len(missed) > 0 {
			t.Errorf("%s: told of %q", line, missed)
		}
	}
}
