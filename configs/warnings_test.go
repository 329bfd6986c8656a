package configs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
)

func TestWarnings(t *testing.T) {
	const base = "hostname: registry.contoso.com\ndns: {nameservers: [ns1.contoso.com], listen: [\":5353\"]}\n"
	const networks = "geo: {networks: [{network: 0.0.0.0/0, place: azure/westus}, {network: \"::/0\", place: azure/westus}]}\n"
	const local = "proxy: {listen: [\"127.0.0.1:443\"]}\n"
	const west = "replicas:\n  - {name: westus, place: azure/westus, addresses: [203.0.113.10], upstream: \"https://w\", home: true}\n"
	const memory = "1: state: is empty"
	tests := []struct {
		name, file string
		want       []string // starts of the warnings, from the line on
	}{
		{"a state", base + "state: ledgers\n" + networks + local + west, nil},
		{"nothing but state", base + networks + local + west, []string{memory}},
		{"nothing", base + networks + local + west + "state: /var/lib/fairlead\n", nil},
		{"no nameservers", "hostname: registry.contoso.com\n" + networks + local + west,
			[]string{memory, "1: dns.nameservers: is empty"}},
		{"clear text", base + networks + "proxy: {listen: [\":443\"]}\n" + west,
			[]string{memory, "4: proxy.tls: is left out"}},
		{"trusts everybody", base + networks +
			"proxy: {listen: [\"127.0.0.1:443\"], trusted_proxies: [10.0.0.1, \"::/0\"]}\n" + west,
			[]string{memory, "4: proxy.trusted_proxies[1]: believes everybody"}},
		{"private ranges are not placed", base + local + west, []string{memory,
			"1: geo.networks: places nothing in 10.0.0.0/8"}},
		{"private addresses", base + "geo: {networks: [{network: 10.20.0.0/16, place: azure/westus}]}\n" + local + west,
			[]string{memory, "3: geo.networks: places nothing in 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16, which"}},
		{"private IPv6 addresses", base + "geo: {networks: [{network: 0.0.0.0/0, place: azure/westus}]}\n" + local +
			strings.Replace(west, "[203", "[\"2001:db8::1\", 203", 1),
			[]string{memory, "3: geo.networks: places nothing in fc00::/7, which"}},
		{"probes overlap", base + networks + local + "health: {interval: 3s, timeout: 2s}\n" + west,
			[]string{memory, "5: health.interval: is shorter"}},
		{"only upstreams probed", base + networks + local + "health: {interval: 3s, timeout: 2s, fronts: false}\n" +
			west,
			[]string{memory}},
		{"families", base + networks + local + west +
			"  - {name: b, place: azure/eastus, addresses: [\"2001:db8::1\"], upstream: \"https://b\"}\n",
			[]string{memory, "6: replicas[0].addresses: has no IPv6 address",
				"7: replicas[1].addresses: has no IPv4 address"}},
		{"no writer", base + networks + local + strings.Replace(west, "home: true", "state: drain", 1),
			[]string{memory, "5: replicas: none is both"}},
		{"home without writes", base + networks + local + "lease: {owner: home}\n" +
			strings.Replace(west, "home: true", "home: true, write: false", 1) +
			"  - {name: b, place: azure/eastus, addresses: [203.0.113.2], upstream: \"https://b\"}\n",
			[]string{memory, "5: lease.owner: is home"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("f.yaml", []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got := c.Warnings()
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(Problems(got).Error(), "f.yaml:"+want) {
					t.Errorf("got:\n%v\nwant %s", Problems(got), want)
				}
			}
		})
	}
}

// The demo stays on loopback: it warns of nothing that its reader would have to act on.
func TestDemoWarnsOfStateOnly(t *testing.T) {
	c, err := Parse("demo.yaml", Demo())
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 1 || w[0].Field != "state" {
		t.Errorf("got %v", w)
	}
}

// The certificate is the one that was loaded, and the warning stands at its line.
func TestWarningsOfCertificateFile(t *testing.T) {
	dir := t.TempDir()
	keyfilestest.WritePair(dir, "gateway")
	c := load(t,
		write(t, filepath.Join(dir, "fairlead.yaml"),
			smallest+"proxy:\n  tls:\n    certificate: gateway.pem\n    key: gateway.key\n"))
	const want = ":7: proxy.tls.certificate: does not cover westus.registry.contoso.com: "
	if got := Problems(c.Warnings()).Error(); !strings.Contains(got, want) || strings.Count(got, "proxy.tls") != 1 {
		t.Errorf("got:\n%s\nwant %s", got, want)
	}
}
