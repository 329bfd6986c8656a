package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// tally counts bytes under names.
type tally struct {
	mu    sync.Mutex
	bytes map[string]int // Guarded by mu.
}

func (c *tally) add(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes == nil {
		c.bytes = map[string]int{}
	}
	c.bytes[name] += n
}

func (c *tally) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := fmt.Sprint(c.bytes)
	c.bytes = nil
	return out
}

func TestPulledIsCounted(t *testing.T) {
	large := string(random(300_000))
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "not here")
	}
	blob := "/v2/app/blobs/" + digest
	for _, test := range []struct {
		name, line string
		upstreams  map[string]http.HandlerFunc
		want       string
	}{
		{"from the nearest", "GET " + blob,
			map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, _ *http.Request) {
				_,
					_ = io.WriteString(w, large)
			}}, "map[west true:300000]"},
		{"from another, and not what the nearest said", "GET " + blob,
			map[string]http.HandlerFunc{"west": refuse, "east": status(200)}, "map[east false:7]"},
		{"from nobody: what one said", "GET " + blob,
			map[string]http.HandlerFunc{"west": refuse, "east": refuse, "europe": refuse}, "map[west true:8]"},
		{"a tag", "GET /v2/app/manifests/v1", map[string]http.HandlerFunc{"west": status(200)}, "map[west true:7]"},
		{"no body", "HEAD /v2/app/manifests/v1", map[string]http.HandlerFunc{"west": status(200)}, "map[]"},
		{"no content", "GET /v2/", map[string]http.HandlerFunc{"west": status(200)}, "map[]"},
		{"what we say ourselves", "GET /metrics", nil, "map[]"},
		{"a push", "POST /v2/app/blobs/uploads/", map[string]http.HandlerFunc{"west": status(200)}, "map[]"},
	} {
		var counted tally
		g := newRig(t, test.upstreams, func(c *rigConfig) {
			c.told.pulled = func(replica string, nearest bool,
				n int) {
				counted.add(fmt.Sprint(replica, " ", nearest), n)
			}
		})
		g.do(test.line, nil)
		if got := counted.take(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestHealedIsCounted(t *testing.T) {
	var counted tally
	s := newScattered(t, func(c *rigConfig) {
		c.told.healed = func(source, target string, n int) { counted.add(source+" "+target, n) }
	})
	layer := strings.Repeat("layer", 50_000)
	s.at["west"].blob("config")
	s.at["east"].blob(layer)
	s.want(s.putManifest("v1", imageOf("config", layer)), 201, "west; reason=nearest")
	if got := counted.take(); got != "map[east west:250000]" {
		t.Error(got)
	}
}
