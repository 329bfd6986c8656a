package dnsserver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestWhoami(t *testing.T) {
	for _, x := range []struct {
		name    string
		from    string
		with    func(*dns.Msg)
		want    []string
		options []string
	}{
		{name: "by the resolver", from: "10.1.2.3",
			want: []string{"client=10.1.2.3", "subnet_sent=none", "subnet_used=10.1.2.3/32", "source=networks",
				"lat=37.7800", "lon=-122.4200", "country=US", "replica=westus", "reason=nearest"}},
		{name: "by the subnet", from: "::ffff:10.1.2.3", with: clientSubnet("10.4.4.0/24"),
			want: []string{"client=10.1.2.3", "subnet_sent=10.4.4.0/24", "subnet_used=10.4.4.0/24", "source=database",
				"lat=52.3700", "lon=4.9000", "country=NL", "replica=westeurope", "reason=nearest"},
			options: []string{"subnet 10.4.4.0/24/24"}},
		{name: "the subnet is not to be used", from: "10.1.2.3", with: clientSubnet("::/0"),
			want: []string{"client=10.1.2.3", "subnet_sent=0", "subnet_used=10.1.2.3/32", "source=networks",
				"lat=37.7800", "lon=-122.4200", "country=US", "replica=westus", "reason=nearest"},
			options: []string{"subnet ::/0/0"}},
		{name: "nobody can place the subnet", from: "10.1.2.3", with: clientSubnet("10.200.1.0/24"),
			want: []string{"client=10.1.2.3", "subnet_sent=10.200.1.0/24", "subnet_used=10.1.2.3/32", "source=networks",
				"lat=37.7800", "lon=-122.4200", "country=US", "replica=westus", "reason=nearest"},
			options: []string{"subnet 10.200.1.0/24/24"}},
		{name: "nobody can place it", from: "2001:db8::53",
			want: []string{"client=2001:db8::53", "subnet_sent=none", "subnet_used=2001:db8::53/128", "source=none",
				"replica=westus", "reason=nearest"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := serving(nil)
			m := ask("WhoAmI.registry.example TXT")
			if x.with != nil {
				x.with(m)
			}
			got := unpack(t, s.Answer(wire(t, m), netip.MustParseAddr(x.from), false))
			if len(got.Answer) != 1 || got.Answer[0].Header().Ttl != 0 || !got.Authoritative {
				t.Fatalf("want one record with a TTL of 0 and AA: %v", got)
			}
			txt := got.Answer[0].(*dns.TXT).Txt
			same(t, "what was seen", txt[:min(len(txt), len(x.want))], x.want)
			same(t, "options", optionsOf(got), x.options)
			wantTimes(t, txt[min(len(txt), len(x.want)):])
			s.wantCounter(t, "TXT whoami")
		})
	}
}

// wantTimes looks for each replica once; which times they have is the business of package geo.
func wantTimes(t *testing.T, txt []string) {
	t.Helper()
	var names []string
	for _, s := range txt {
		name, ms, _ := strings.Cut(strings.TrimPrefix(s, "expected_ms."), "=")
		if ms == "" || strings.Trim(ms, "0123456789") != "" {
			t.Errorf("no time in %q", s)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	same(t, "replicas", names, []string{"eastus", "westeurope", "westus"})
}
