package configs

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

func load(t *testing.T, file string) *Config {
	t.Helper()
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := load(t, "testdata/valid-smallest.yaml")
	westus, _ := geo.LookupPlace("azure/westus")
	want := &Config{
		File:     "testdata/valid-smallest.yaml",
		Hostname: "registry.contoso.com",
		DNS:      DNS{Listen: []string{":53"}, TTL: time.Minute},
		Proxy: Proxy{Listen: []string{":443"}, Limits: Limits{Manifest: 8 << 20, FirstByte: 4500 * time.Millisecond,
			Lists: 30 * time.Second, Resume: 30 * time.Second, Silence: 5 * time.Minute, ClientShare: 80, Hashing: 10}},
		Lease:       Lease{Idle: 10 * time.Minute, Owner: OwnerNearest},
		Settings:    Settings{Overlay: OverlayAllow},
		Health:      Health{Interval: 5 * time.Second, Timeout: 2 * time.Second, Path: "/v2/", Fronts: true},
		Replication: Replication{Concurrency: 4, Unrecorded: UnrecordedRefuse},
		Admin:       Admin{Listen: "127.0.0.1:9180"},
		Replicas: []Replica{{
			Name:      "westus",
			Place:     Place{Name: "azure/westus", Country: "US", Point: westus.Point},
			Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.10")},
			Upstream:  mustUpstream(t, "https://registry.westus.internal"),
			Home:      true,
			State:     StateOnline,
			Write:     true,
		}},
	}
	want.written, want.disk, want.source = c.written, c.disk, c.source
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestEveryKeyIsTaken(t *testing.T) {
	c := load(t, "testdata/valid-limits.yaml")
	want := &Config{
		File:     "testdata/valid-limits.yaml",
		Hostname: "registry.contoso.com",
		DNS: DNS{Listen: []string{"[::1]:65535"}, Nameservers: []string{"ns1.notregistry.contoso.com"},
			TTL: 24 * time.Hour},
		Here: "2",
		Proxy: Proxy{
			Listen: []string{":443"},
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"),
				netip.MustParsePrefix("2001:db8::1/128")},
			Paths: []string{"/service/token", "/artifacts-uploads/*"},
			Limits: Limits{Manifest: 64 << 20, FirstByte: 500 * time.Millisecond, Lists: 10 * time.Minute, Resume: 5 * time.Minute,
				Silence: 10 * time.Second, ClientShare: 100},
		},
		Geo: Geo{Databases: []string{"testdata/notes.txt"},
			Networks: []Network{{Network: netip.MustParsePrefix("10.0.0.0/8"),
				Place: Place{Point: geo.Point{Lat: 1, Lon: -1.5}}}}},
		Lease:  Lease{Idle: 10 * time.Second, Owner: OwnerHome},
		Health: Health{Interval: 10 * time.Minute, Timeout: 10 * time.Minute, Path: "/", Fronts: false, Write: true},
		Replication: Replication{
			Bandwidth: 1 << 40, Concurrency: 64, Unrecorded: UnrecordedAccept,
			Filters: []Filter{{Replica: "2", Repositories: []string{"*", "team/app", "team/*"}}},
		},
		Webhooks: []subscription.Subscription{
			{Name: "ciBuilds2", Location: "2", Actions: subscription.Actions(), Scope: "team/app:*",
				ServiceURI:    "https://ci.contoso.com:8443/in?token=1",
				CustomHeaders: map[string]string{"Authorization": "Basic 000000", "X-Team": ""},
				Secret:        "0123456789abcdef", Status: subscription.Disabled},
			{Name: "hook1", Actions: []subscription.Action{subscription.Push}, ServiceURI: "http://[::1]",
				Status: subscription.Enabled},
		},
		WebhooksPrivate: true,
		Admin:           Admin{Listen: "[::1]:9180", Upstreams: []string{".registry.internal", "192.0.2.1", "localhost"}},
		Settings:        Settings{Overlay: OverlayDeny},
		Cluster: &Cluster{Listen: "[::1]:7946", Name: "0", Peers: []string{"[2001:db8::10]:7946", "gw2:65535"},
			Key: "testdata/cluster.key"},
		Replicas: []Replica{
			{Name: "a-1", Place: Place{Point: geo.Point{Lat: -90, Lon: 180}},
				Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.1")},
				Upstream:  mustUpstream(t, "http://registry:5000"), Home: true, State: StateOnline, Write: true,
				Host: "registry.internal:5000", Bias: -1000},
			{Name: "2", Place: Place{Point: geo.Point{Lat: 90, Lon: -180}},
				Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::1")},
				Upstream:  mustUpstream(t, "https://registry"), State: StateDrain, Bias: 1000},
		},
	}
	want.written, want.disk, want.source = c.written, c.disk, c.source
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestAliasesAndMappedAddresses(t *testing.T) {
	c := load(t, "testdata/valid-aliases.yaml")
	frankfurt := geo.Point{Lat: 50.11, Lon: 8.68}
	for _, got := range []geo.Point{c.Geo.Networks[0].Place.Point, c.Geo.Networks[1].Place.Point,
		c.Replicas[0].Place.Point} {
		if got != frankfurt {
			t.Errorf("point %v, want %v", got, frankfurt)
		}
	}
	if got := c.Replicas[0].Addresses[0]; got != netip.MustParseAddr("203.0.113.10") {
		t.Errorf("address %v, want it unmapped", got)
	}
	if got := c.Replicas[0].Upstream.String(); got != "http://[2001:db8::5]:5000" {
		t.Errorf("upstream %v", got)
	}
}

func TestUpstreamForms(t *testing.T) {
	tests := []struct{ in, want string }{
		{"HTTPS://Registry.Internal/", "https://registry.internal"},
		{"https://registry.internal:443", "https://registry.internal"},
		{"http://registry.internal:443", "http://registry.internal:443"},
		{"http://[2001:DB8::5]:80/", "http://[2001:db8::5]"},
		{"http://[::ffff:192.0.2.1]:5000", "http://192.0.2.1:5000"},
		{"http://registry.internal.:0080", "http://registry.internal"},
	}
	for _, tt := range tests {
		if got := mustUpstream(t, tt.in).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestHostHeaderForms(t *testing.T) {
	for _, s := range []string{"", "registry", "Registry.Internal.", "registry.internal:5000", "192.0.2.1",
		"192.0.2.1:5000", "[::1]", "[2001:db8::5]:5000"} {
		if got, rule := hostHeader(s); got != s || rule != "" {
			t.Errorf("%q: %q %s", s, got, rule)
		}
	}
}

func TestDemo(t *testing.T) {
	c, err := Parse("demo.yaml", Demo())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.Replicas {
		got = append(got, r.Name, r.Place.Name, r.Addresses[0].String(), r.Upstream.String())
	}
	const want = "westus azure/westus 127.0.0.11 http://127.0.0.11:5001 eastus azure/eastus 127.0.0.12 http://127.0.0.12:5001 " +
		"canadacentral azure/canadacentral 127.0.0.13 http://127.0.0.13:5001 westeurope azure/westeurope 127.0.0.14 http://127.0.0.14:5001"
	if strings.Join(got, " ") != want || !c.Replicas[0].Home {
		t.Errorf("replicas %v", got)
	}
	Demo()[0] = 'x'
	if Demo()[0] == 'x' {
		t.Error("a caller can change the demo for the next")
	}
}

func TestSetHere(t *testing.T) {
	tests := []struct{ name, wantErr string }{
		{"westus", ""},
		{"", ""},
		{"westeurop", `here "westeurop" names no replica; did you mean westeurope?`},
		{"tokyo", `here "tokyo" names no replica; known are westus, eastus, canadacentral, westeurope`},
	}
	for _, tt := range tests {
		c, err := Parse("demo.yaml", Demo())
		if err != nil {
			t.Fatal(err)
		}
		c.Here = "eastus"
		err = c.SetHere(tt.name)
		if got, want := c.Here, map[bool]string{true: tt.name, false: "eastus"}[err == nil]; got != want {
			t.Errorf("here %q, want %q", got, want)
		}
		if got := errText(err); got != tt.wantErr {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.wantErr)
		}
	}
}

// Files are found beside the configuration, wherever the process was started.
func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	keyfilestest.WritePair(dir, "one")
	keyfilestest.WritePair(dir, "two")
	tests := []struct{ name, proxy, replica, want string }{
		{"pair", "{certificate: one.pem, key: one.key}", "", ""},
		{"absolute", "{certificate: " + filepath.Join(dir, "one.pem") + ", key: one.key}", "", ""},
		{"mixed", "{certificate: one.pem, key: two.key}", "",
			"proxy.tls.certificate: certificate and key do not load as a pair"},
		{"swapped", "{certificate: one.key, key: one.pem}", "",
			"proxy.tls.certificate: certificate and key do not load as a pair"},
		{"upstream", "", "ca: one.pem, client_certificate: two.pem, client_key: two.key", ""},
		{"upstream mixed", "", "client_certificate: two.pem, client_key: one.key",
			"replicas[0].client_certificate: certificate and key do not load"},
		{"key as authority", "", "ca: one.key", "replicas[0].ca: holds no certificate"},
		{"large", "", "ca: large.pem", "replicas[0].ca: larger than 1048576 bytes"},
	}
	if err := os.Truncate(write(t, filepath.Join(dir, "large.pem"), ""), maxFile+1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			content := smallest
			if tt.proxy != "" {
				content += "proxy: {tls: " + tt.proxy + "}\n"
			}
			if tt.replica != "" {
				content = strings.Replace(content, "{name:", "{"+tt.replica+", name:", 1)
			}
			c, err := Load(write(t, filepath.Join(dir, "fairlead.yaml"), content))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if c.Proxy.TLS != nil && c.Proxy.TLS.Key != filepath.Join(dir, "one.key") {
					t.Errorf("key %s is not resolved", c.Proxy.TLS.Key)
				}
				return
			}
			if !strings.Contains(errText(err), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func mustUpstream(t *testing.T, s string) *url.URL {
	t.Helper()
	u, rule := upstream(s)
	if rule != "" {
		t.Fatalf("%s: %s", s, rule)
	}
	return u
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
