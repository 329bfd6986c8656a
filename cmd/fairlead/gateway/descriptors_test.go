package gateway

import "testing"

func TestShare(t *testing.T) {
	for _, c := range []struct {
		limit         uint64
		replicas, dns int
		want          descriptors
	}{
		{1 << 62, 4, 1, descriptors{16_384, 256, 2048, 64}},
		{524_288, 54, 8, descriptors{16_384, 256, 2048, 64}},
		{4096, 4, 1, descriptors{1024, 256, 1024, 64}},
		{1024, 4, 1, descriptors{256, 128, 256, 64}},
		{1024, 4, 2, descriptors{256, 64, 256, 64}},
		{256, 4, 1, descriptors{58, 32, 58, 14}},
		{256, 54, 1, descriptors{58, 32, 58, 1}},
		{16, 2, 1, descriptors{4, 2, 4, 2}}, // it does not start with so few, but not because of this
	} {
		if got := share(c.limit, c.replicas, c.dns); got != c.want {
			t.Errorf("%d for %d and %d: %+v, want %+v", c.limit, c.replicas, c.dns, got, c.want)
		}
	}
}
