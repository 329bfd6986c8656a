package manifest_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

func ExampleNeeds() {
	digest := func(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }
	image := fmt.Sprintf(`{"schemaVersion": 2, "config": {"digest": %q, "size": 7}, "layers": [{"digest": %q,`+
		` "size": 1024}]}`,
		digest("c"), digest("1"))
	index := fmt.Sprintf(`{"schemaVersion": 2, "manifests": [{"digest": %q, "size": 300}]}`, digest("a"))
	for _, body := range []string{image, index} {
		needs, err := manifest.Needs([]byte(body))
		for _, d := range needs {
			fmt.Printf("%.10s… %d bytes, a manifest: %v, may be missing: %v\n",
				d.Digest, d.Size, d.Manifest, d.Optional)
		}
		fmt.Println(err)
	}
	// Output:
	// sha256:ccc… 7 bytes, a manifest: false, may be missing: false
	// sha256:111… 1024 bytes, a manifest: false, may be missing: false
	// <nil>
	// sha256:aaa… 300 bytes, a manifest: true, may be missing: true
	// <nil>
}

func ExampleOnce() {
	var blobs manifest.Once[string]
	for range 2 {
		replica, err := blobs.Do(context.Background(), "sha256:1", func() (string, error) {
			fmt.Println("copying")
			return "west", nil
		})
		fmt.Println(replica, err)
	}
	// Output:
	// copying
	// west <nil>
	// west <nil>
}
