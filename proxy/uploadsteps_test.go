package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// What an accepted answer to a step of an upload means does not hang on its status alone.
func TestSteps(t *testing.T) {
	t.Parallel()
	const upload, blob = uploads + "2", "/v2/app/blobs/" + digest
	for _, test := range []struct {
		line     string
		status   int
		location string
		commits  bool
	}{
		{"POST " + uploads, 202, upload, false},
		{"POST " + uploads, 201, upload, false},
		{"POST " + uploads, 200, upload, false},
		{"POST " + uploads, 204, upload, false},
		{"POST " + uploads + "?digest=" + digest, 201, blob, true},
		{"POST " + uploads + "?digest=" + digest, 201, "", true},
		{"POST " + uploads + "?digest=" + digest, 200, blob, true},
		{"POST " + uploads + "?digest=" + strings.Replace(digest, ":", "%3A", 1), 202, blob, true},
		{"POST " + uploads + "?digest=" + digest, 202, upload, false},
		{"POST " + uploads + "?digest=" + digest, 201, upload, false},
		{"POST " + uploads + "?mount=" + digest + "&from=base", 201, blob, true},
		{"POST " + uploads + "?mount=" + digest + "&from=base", 202, upload, false},
		{"POST " + uploads + "?mount=" + digest + "&from=base", 201, upload, false},
		{"POST " + uploads + "?mount=" + digest + "&from=base", 204, strings.Replace(blob, ":", "%3A", 1), true},
		{"PATCH " + uploads + "1", 202, upload, false},
		{"PATCH " + uploads + "1", 200, upload, false},
		{"PATCH " + uploads + "1", 201, upload, false},
		{"PATCH " + uploads + "1", 204, "", false},
		{"PUT " + uploads + "1?digest=" + digest, 201, blob, true},
		{"PUT " + uploads + "1?digest=" + digest, 200, "", true},
		{"PUT " + uploads + "1?digest=" + digest, 202, blob, true},
		{"PUT " + uploads + "1?digest=" + digest, 204, "", true},
		{"PUT " + uploads + "1?fairlead-replica=west?digest=" + digest, 201, blob, true},
		{"PUT " + uploads + "1?digest=" + digest + "&fairlead-replica=west", 201, blob, true},
		{"PUT " + uploads + "1?digest=" + digest, 400, "", false},
		{"DELETE " + uploads + "1", 200, "", false},
		{"DELETE " + uploads + "1?digest=" + digest, 204, "", false},
	} {
		var headers, committed []string
		if test.location != "" {
			headers = []string{"Location: " + test.location}
		}
		g := newRig(t, map[string]http.HandlerFunc{"west": says(test.status, "", headers...)}, func(c *rigConfig) {
			c.told.committed = func(repository, digest, replica string) {
				committed = append(committed, repository+" "+digest+" "+replica)
			}
		})
		got := g.do(test.line, nil)
		g.gateway.Close() // the end of the handler
		var want []string
		if test.commits {
			want = []string{"app " + digest + " west"}
		}
		at := g.proxy.pushes.replicaOf(pushKey{addrOf("127.0.0.1:1"), "app"}, digest, time.Now())
		if got.status != test.status || !slices.Equal(committed, want) || (at == "west") != test.commits {
			t.Errorf("%s answered %d: %d, committed %q, a part at %q", test.line, test.status, got.status, committed,
				at)
		}
		owned := strings.HasSuffix(got.header.Get("Location"), "fairlead-replica=west")
		if test.location != "" && owned == test.commits {
			t.Errorf("%s answered %d: Location %q", test.line, test.status, got.header.Get("Location"))
		}
	}
}

// A deletion that is answered with another success is one.
func TestDeletionsByOtherNames(t *testing.T) {
	for _, code := range []int{200, 202, 204} {
		g := newRig(t, map[string]http.HandlerFunc{"west": status(code)}, nil)
		got := g.do("DELETE "+byDigest, nil)
		known, _ := g.proxy.Ledger.Known(ledger.Reference{Repository: "app", Name: digest})
		if got.status != code || !known.Deleted {
			t.Errorf("%d: %v, recorded %+v", code, got, known)
		}
	}
}
