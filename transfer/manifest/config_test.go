package manifest

import (
	"strings"
	"testing"
)

func TestConfigType(t *testing.T) {
	for body, want := range map[string]string{
		`{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"sha256:00"}}`: "application/vnd.cncf.helm.config.v1+json",
		`{"schemaVersion":2,"manifests":[]}`: "",
		`{"config":{"mediaType":1}}`:         "",
		`{"config":"chart"}`:                 "",
		`{"config":{"mediaType":"chart"}`:    "",
		``:                                   "",
	} {
		if got := ConfigType([]byte(body)); got != want {
			t.Errorf("%.80s: %q, want %q", strings.TrimSpace(body), got, want)
		}
	}
}
