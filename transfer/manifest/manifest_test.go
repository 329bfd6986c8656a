package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func sha(n int) string { return fmt.Sprintf("sha256:%064d", n) }

func blob(n int) Descriptor    { return Descriptor{Digest: sha(n)} }
func child(n int) Descriptor   { return Descriptor{Digest: sha(n), Manifest: true, Optional: true} }
func sparsed(n int) Descriptor { return Descriptor{Digest: sha(n), Optional: true} }

func TestNeeds(t *testing.T) {
	long := strings.Repeat("Z", 300)
	for _, test := range []struct {
		name, body string
		want       []Descriptor
	}{
		{"image", `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
			`"config":{"digest":"1"},"layers":[{"digest":"2"},{"digest":"3"},{"digest":"2"}]}`,
			[]Descriptor{blob(1), blob(2), blob(3)}},
		{"docker schema 2", `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",` +
			`"config":{"digest":"1"},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip",` +
			`"digest":"2"}]}`, []Descriptor{blob(1), blob(2)}},
		{"windows", `{"schemaVersion":2,"config":{"digest":"1"},` +
			`"layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"2",` +
			`"urls":["https://example.test"]},` +
			`{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip","digest":"3"},` +
			`{"digest":"4"}]}`, []Descriptor{blob(1), blob(4)}},
		{"index", `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
			`"digest":"1"},{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"2"},{"digest":"3"}]}`,
			[]Descriptor{child(1), child(2), child(3)}},
		{"build cache", `{"schemaVersion":2,` +
			`"manifests":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"1"},` +
			`{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"2"}]}`,
			[]Descriptor{sparsed(1), sparsed(2)}},
		{"helm", `{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"1"},` +
			`"layers":[{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"2"}]}`,
			[]Descriptor{blob(1), blob(2)}},
		{"signature with its subject", `{"schemaVersion":2,"artifactType":"x","config":{"digest":"1"},` +
			`"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"2"}],` +
			`"subject":{"digest":"9"}}`, []Descriptor{blob(1), blob(2)}},
		{"artifact of old", `{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[{"digest":"1"}],` +
			`"subject":{"digest":"9"}}`, []Descriptor{blob(1)}},
		{"embedded", `{"schemaVersion":2,"config":{"digest":"1","data":"e30="},"layers":[]}`, []Descriptor{sparsed(1)}},
		{"sizes", `{"schemaVersion":2,"config":{"digest":"1","size":12},"layers":[{"digest":"2","size":"many"},` +
			`{"digest":"3","size":-1},{"digest":"4","size":1e99}]}`,
			[]Descriptor{{Digest: sha(1), Size: 12}, blob(2), blob(3), blob(4)}},
		{"schema 1", `{"schemaVersion":1,"layers":[{"digest":"1"}]}`, nil},
		{"no digest", `{"schemaVersion":2,"config":{"digest":"../../_catalog"},"layers":[{"digest":"sha256:x"}]}`, nil},
		{"none that can be verified", `{"schemaVersion":2,"layers":[{"digest":"x:` + long[:32] +
			`"},{"digest":"sha256:` + long[:64] + `"},{"digest":"x:` + long[:256] + `"}]}`,
			[]Descriptor{{Digest: "x:" + long[:32]}, {Digest: "sha256:" + long[:64]}, {Digest: "x:" + long[:256]}}},
		{"too short, too long", `{"schemaVersion":2,"layers":[{"digest":"x:` + long[:31] + `"},{"digest":"x:` +
			long[:257] + `"}]}`, nil},
		{"no JSON", `hello`, nil},
		{"no object", `[]`, nil},
		{"other types", `{"layers":"x"}`, nil},
		{"nothing", `{}`, nil},
	} {
		body := test.body
		for n := 1; n <= 9; n++ {
			body = strings.ReplaceAll(body, fmt.Sprintf(`"digest":"%d"`, n), fmt.Sprintf(`"digest":"%s"`, sha(n)))
		}
		if got, err := Needs([]byte(body)); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestNeedsAreBounded(t *testing.T) {
	var layers []string
	for n := range 2 * maxNeeds {
		layers = append(layers, fmt.Sprintf(`{"digest":%q}`, sha(n)))
	}
	if got, err := Needs([]byte(`{"layers":[` + strings.Join(layers, ",") + `]}`)); err != ErrTooMany || got != nil {
		t.Errorf("%d descriptors, %v", len(got), err)
	}
	if got, err := Needs([]byte(`{"layers":[` + strings.Join(layers[:maxNeeds], ",") + `]}`)); err != nil ||
		len(got) != maxNeeds {
		t.Errorf("%d descriptors, %v", len(got), err)
	}
	if _, err := Needs([]byte(`{"layers":[{}` + strings.Repeat(",{}", 1<<20) + `]}`)); err != ErrTooMany {
		t.Errorf("a million of nothing: %v", err)
	}
	if got, err := Needs([]byte(`{"config":{"digest":"` + sha(1) + `"}}` + strings.Repeat(" ", 9<<20))); err != nil ||
		len(got) != 1 {
		t.Errorf("of a large one: %v, %v", got, err)
	}
}

func FuzzNeeds(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"` + sha(1) + `"},"manifests":[{"digest":"` + sha(2) + `"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		descriptors, _ := Needs(body)
		for _, p := range descriptors {
			if strings.ContainsAny(p.Digest, "/?#% ") || !strings.Contains(p.Digest, ":") {
				t.Fatalf("%q would go into a path", p.Digest)
			}
		}
	})
}
