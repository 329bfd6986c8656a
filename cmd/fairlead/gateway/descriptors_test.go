package gateway

import "testing"

func TestShare(t *testing.T) {
	for _, c := range []struct {
		limit    uint64
		replicas int
		want     descriptors
	}{
		{1 << 62, 4, descriptors{16_384, 256, 2048, 64}},
		{524_288, 54, descriptors{16_384, 256, 2048, 64}},
		{4096, 4, descriptors{1109, 256, 1109, 64}},
		{1024, 4, descriptors{256, 128, 256, 64}},
		{256, 4, descriptors{58, 32, 58, 14}},
		{256, 54, descriptors{58, 32, 58, 1}},
		{16, 2, descriptors{4, 2, 4, 2}}, // it does not start with so few, but not because of this
	} {
		if got := share(c.limit, c.replicas); got != c.want {
			t.Errorf("%d for %d: %+v, want %+v", c.limit, c.replicas, got, c.want)
		}
	}
}
