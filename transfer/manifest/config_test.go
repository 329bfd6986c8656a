package manifest

import (
	"strings"
	"testing"
)

func TestConfigType(t *testing.T) {
	const helm = "application/vnd.cncf.helm.config.v1+json"
	for body, want := range map[string]string{
		`{"schemaVersion":2,"config":{"mediaType":"` + helm + `","digest":"sha256:00"}}`: helm,
		`{"schemaVersion":2,"manifests":[]}`:                                             "",
		`{"config":{"mediaType":1}}`:                                                     "",
		`{"config":"chart"}`:                                                             "",
		`{"config":{"mediaType":"chart"}`:                                                "",
		``:                                                                               "",
	} {
		if got := ConfigType([]byte(body)); got != want {
			t.Errorf("%.80s: %q, want %q", strings.TrimSpace(body), got, want)
		}
	}
}
