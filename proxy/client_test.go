package proxy

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, test := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"plain", "192.0.2.1:999", nil, "192.0.2.1"},
		{"mapped", "[::ffff:192.0.2.1]:999", nil, "192.0.2.1"},
		{"zone", "[fe80::1%eth0]:999", nil, "fe80::1"},
		{"not trusted", "192.0.2.1:999", []string{"198.51.100.1"}, "192.0.2.1"},
		{"one trusted hop", "10.0.0.1:999", []string{"198.51.100.1"}, "198.51.100.1"},
		{"what the client wrote itself", "10.0.0.1:999", []string{"203.0.113.1, 198.51.100.1"}, "198.51.100.1"},
		{"two hops in two headers", "10.0.0.1:999", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"mapped hops", "10.0.0.1:999", []string{"::ffff:198.51.100.1, ::ffff:10.0.0.2"}, "198.51.100.1"},
		{"a mapped trusted proxy", "[::ffff:10.0.0.1]:999", []string{"198.51.100.1"}, "198.51.100.1"},
		{"all trusted", "[::1]:999", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"garbage", "10.0.0.1:999", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty", "10.0.0.1:999", nil, "10.0.0.1"},
		{"no address", "@", nil, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: test.remote, Header: http.Header{"X-Forwarded-For": test.forwarded}}
		if got := clientAddr(r, trusted); got.String() != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
