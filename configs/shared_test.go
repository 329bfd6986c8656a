package configs

import (
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const sharedFile = `hostname: registry.contoso.com
replicas:
  - {name: westus, place: azure/westus, addresses: [203.0.113.10], upstream: "https://r.westus.internal", home: true}
  - {name: eastus, place: azure/eastus, addresses: [203.0.113.20], upstream: "https://r.eastus.internal"}
webhooks:
  - {name: ciBuilds, uri: "https://ci.contoso.com/hook", actions: [push], secret: 0123456789abcdef,
     headers: {Authorization: Bearer 000000, X-Team: one}}
`

func parseShared(t *testing.T, text string) map[string]string {
	t.Helper()
	c, err := Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Shared()
}

// differing are the keys of either with another value.
func differing(a, b map[string]string) (keys []string) {
	for key := range maps.Keys(merged(a, b)) {
		if a[key] != b[key] {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func TestShared(t *testing.T) {
	whole := parseShared(t, sharedFile)
	form := regexp.MustCompile(`^[0-9a-f]{16}$`)
	for key, hash := range whole {
		if !form.MatchString(hash) {
			t.Errorf("%s: %q", key, hash)
		}
	}
	for _, test := range []struct {
		name, old, new string
		want           []string
	}{
		{"nothing", "", "", nil},
		{"a comment, and a place by its name or by its point", "hostname:", "# new\nhostname:", nil},
		{"defaults that are written out", "replicas:", "lease: {idle: 10m}\nhealth: {interval: 5s}\ndns: {ttl: 60s}\nreplicas:", nil},
		{"the hostname", "registry.contoso.com", "r.contoso.com", []string{"hostname"}},
		{"the TTL, and nameservers", "replicas:", "dns: {ttl: 30s, nameservers: [ns1.contoso.com]}\nreplicas:",
			[]string{"dns.nameservers", "dns.ttl"}},
		{"a lease's idle time", "replicas:", "lease: {idle: 5m}\nreplicas:", []string{"lease.idle"}},
		{"health", "replicas:", "health: {interval: 6s, fronts: false}\nreplicas:",
			[]string{"health.fronts", "health.interval"}},
		{"paths and limits", "replicas:", "proxy: {paths: [/token], limits: {manifest: 4MiB, hashing: 1}}\nreplicas:",
			[]string{"proxy.limits.manifest", "proxy.paths"}},
		{"networks", "replicas:", "geo: {networks: [{network: 10.0.0.0/8, place: azure/westus}]}\nreplicas:",
			[]string{"geo.networks"}},
		{"filters", "replicas:", "replication: {bandwidth: 1000, filters: [{repositories: [a/*]}]}\nreplicas:",
			[]string{"replication.filters"}},
		{"what is the gateway's own", "replicas:", "here: westus\nstate: /tmp/s\nadmin: {listen: \"127.0.0.1:1\"}\nproxy: {listen: [\":80\"], trusted_proxies: [10.0.0.1]}\nreplicas:", nil},
		{"a bias", "home: true", "home: true, bias: 3", []string{"replicas.westus.bias"}},
		{"a state, and what is only read", "home: true", "home: true, state: drain, write: false",
			[]string{"replicas.westus.state", "replicas.westus.write"}},
		{"addresses", "203.0.113.20", "203.0.113.21", []string{"replicas.eastus.addresses"}},
		{"an upstream", "r.eastus.internal", "r2.eastus.internal", []string{"replicas.eastus.upstream"}},
		{"a place", "place: azure/eastus", "place: {lat: 1, lon: 2}", []string{"replicas.eastus.place"}},
		{"home", `home: true}`, "home: false}", nil}, // completed below
		{"a rename", "name: eastus", "name: east", []string{
			"replicas.east", "replicas.east.addresses", "replicas.east.place", "replicas.east.upstream",
			"replicas.eastus", "replicas.eastus.addresses", "replicas.eastus.place", "replicas.eastus.upstream"}},
		{"a webhook", "actions: [push]", "actions: [push, delete]", []string{"webhooks.ciBuilds"}},
		{"a header", "X-Team: one", "X-Team: two", []string{"webhooks.ciBuilds"}},
		{"one secret for another", "0123456789abcdef", "fedcba9876543210", nil},
		{"a header that is a secret", "Bearer 000000", "Bearer 000001", nil},
		{"no secret", ", secret: 0123456789abcdef", "", []string{"webhooks.ciBuilds"}},
	} {
		text := strings.Replace(sharedFile, test.old, test.new, 1)
		if test.name == "home" {
			text = strings.Replace(text, `r.eastus.internal"`, `r.eastus.internal", home: true`, 1)
			test.want = []string{"replicas.eastus.home", "replicas.westus.home"}
		}
		if got := differing(whole, parseShared(t, text)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v differ, want %v", test.name, got, test.want)
		}
	}
}

// TestSharedLeaving: the file has it no more, here as anywhere.
func TestSharedLeaving(t *testing.T) {
	c, err := Parse("f.yaml", []byte(sharedFile))
	if err != nil {
		t.Fatal(err)
	}
	before := c.Shared()
	gone := c.Replicas[1]
	gone.Name, gone.State = "gone", StateLeaving
	gone.Addresses = []netip.Addr{netip.MustParseAddr("203.0.113.99")}
	c.Replicas = append(c.Replicas, gone)
	if got := differing(before, c.Shared()); len(got) > 0 {
		t.Errorf("%v differ", got)
	}
}

// TestVerdicts: each key of a file must be alike or need not be, and somebody has said which, and why.
func TestVerdicts(t *testing.T) {
	used := map[string]bool{}
	var walk func(key string, of reflect.Type)
	walk = func(key string, of reflect.Type) {
		for part := key; part != ""; part = part[:max(0, strings.LastIndexByte(part, '.'))] {
			if v, ok := verdicts[part]; ok {
				if used[part] = true; v.why == "" {
					t.Errorf("%s: nobody says why", part)
				}
				return
			}
		}
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			if of.Kind() == reflect.Slice {
				key += "[]"
			}
			of = of.Elem()
		}
		fields := 0
		if of.Kind() == reflect.Struct {
			for i := range of.NumField() {
				if name := of.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
					fields++
					walk(below(key, name), of.Field(i).Type)
				}
			}
		}
		if fields == 0 {
			t.Errorf("%s: must it be alike at all gateways? Say so in verdicts", key)
		}
	}
	walk("", reflect.TypeFor[Config]())
	for key := range verdicts {
		if !used[key] {
			t.Errorf("%s: no file has it", key)
		}
	}
}
