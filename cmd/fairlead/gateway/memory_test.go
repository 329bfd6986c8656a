package gateway

import (
	"testing"

	"github.com/fairlead-gateway/fairlead/proxy"
)

func TestAllot(t *testing.T) {
	for _, c := range []struct {
		limit, clients, requests, held int
		pipes, heads                   int
		streams, receive, remembered   int
	}{
		{230 * mib, 1495, 737, 31 * mib, 41, 10 * mib, 33, 332 << 10, 16_998},
		{64 * mib, 144, 71, 3 * mib, 4, 1 * mib, 16, 64 << 10, 1638},
		{1 << 30, 8654, 4266, 180 * mib, 240, 60 * mib, 128, 1 << 20, 32_768},
		{16 << 30, 16_384, 32_768, 1 << 30, 512, 64 * mib, 128, 1 << 20, 32_768},
		{1 << 62, 16_384, 32_768, 1 << 30, 512, 64 * mib, 128, 1 << 20, 32_768},
		{1, 0, 0, 0, 0, 0, 16, 64 << 10, 1024},
	} {
		got := allot(int64(c.limit))
		if got.clients != c.clients || got.proxy.Requests/proxy.RequestMemory != int64(c.requests) ||
			got.proxy.Held/mib != int64(c.held/mib) ||
			got.pipes != c.pipes || int(got.heads/mib) != c.heads/mib || got.proxy.Streams != c.streams || got.proxy.Receive != c.receive ||
			got.proxy.Remembered != c.remembered {
			t.Errorf("%d MiB: %+v, want %+v", c.limit/mib, got, c)
		}
	}
}
