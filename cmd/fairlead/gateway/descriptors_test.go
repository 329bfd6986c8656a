package gateway

import "testing"

func TestShare(t *testing.T) {
	for _, c := range []struct {
		limit         uint64
		replicas, dns int
		want          descriptors
	}{
		{1 << 62, 4, 1, descriptors{16_384, 256, 2048, 64, 512}},
		{524_288, 54, 8, descriptors{16_384, 256, 2048, 64, 512}},
		{4096, 4, 1, descriptors{938, 256, 938, 64, 128}},
		{1024, 4, 1, descriptors{234, 128, 234, 58, 32}},
		{1024, 4, 2, descriptors{234, 64, 234, 58, 32}},
		{256, 4, 1, descriptors{53, 32, 53, 13, 8}},
		{256, 54, 1, descriptors{53, 32, 53, 1, 8}},
		{16, 2, 1, descriptors{4, 2, 4, 2, 0}}, // it does not start with so few, but not because of this
	} {
		if got := share(c.limit, c.replicas, c.dns); got != c.want {
			t.Errorf("%d for %d and %d: %+v, want %+v", c.limit, c.replicas, c.dns, got, c.want)
		}
	}
}
