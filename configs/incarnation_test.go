package configs

import (
	"net/url"
	"testing"
)

// TestIncarnation: a registry is another one where its upstream or its storage is, and by nothing else.
func TestIncarnation(t *testing.T) {
	at := func(host string) *url.URL { return &url.URL{Scheme: "https", Host: host} }
	before := Replica{Name: "eastus", Upstream: at("registry.example:5000"), State: StateOnline}
	for name, tt := range map[string]struct {
		now  Replica
		same bool
	}{
		"same":             {Replica{Name: "eastus", Upstream: at("registry.example:5000")}, true},
		"state, write":     {Replica{Upstream: at("registry.example:5000"), State: StateDrain, Write: true}, true},
		"another name":     {Replica{Name: "westus", Upstream: at("registry.example:5000")}, true},
		"another upstream": {Replica{Name: "eastus", Upstream: at("other.example:5000")}, false},
		"another storage":  {Replica{Name: "eastus", Upstream: at("registry.example:5000"), Storage: "s3"}, false},
		"no upstream":      {Replica{Name: "eastus"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			was, is := before.Incarnation(), tt.now.Incarnation()
			if len(is) != 8 || (was == is) != tt.same {
				t.Errorf("incarnations %q, %q; want the same: %v", was, is, tt.same)
			}
		})
	}
}
