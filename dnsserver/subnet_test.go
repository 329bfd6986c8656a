package dnsserver

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

func TestClientSubnetWire(t *testing.T) {
	for _, x := range []struct {
		name    string
		options []string // code:hex
		want    string   // the prefix; "malformed", "none" or "0"
	}{
		{"IPv4 /24", []string{"8:000118000a0102"}, "10.1.2.0/24"},
		{"IPv4 /32", []string{"8:000120000a010203"}, "10.1.2.3/32"},
		{"IPv4 /1", []string{"8:0001010080"}, "128.0.0.0/1"},
		{"IPv4 /17", []string{"8:000111000a0180"}, "10.1.128.0/17"},
		{"IPv6 /56", []string{"8:0002380020010db8000400"}, "2001:db8:4::/56"},
		{"IPv6 /128", []string{"8:0002800020010db8000000000000000000000001"}, "2001:db8::1/128"},
		{"0 of IPv4", []string{"8:00010000"}, "0"},
		{"0 of IPv6", []string{"8:00020000"}, "0"},
		{"0 of no family", []string{"8:00000000"}, "0"},
		{"beside others", []string{"3:", "8:000108000a", "12:000000"}, "10.0.0.0/8"},
		{"none", []string{"3:", "10:0011223344556677"}, "none"},
		{"no options", nil, "none"},

		{"empty", []string{"8:"}, "malformed"},
		{"3 bytes", []string{"8:000100"}, "malformed"},
		{"no family with a prefix", []string{"8:000018000a0102"}, "malformed"},
		{"a family nobody knows", []string{"8:000318000a0102"}, "malformed"},
		{"a family nobody knows, 0", []string{"8:00030000"}, "malformed"},
		{"IPv4 /33", []string{"8:000121000a01020300"}, "malformed"},
		{"IPv6 /129", []string{"8:0002810020010db800000000000000000000000100"}, "malformed"},
		{"IPv4 /255", []string{"8:0001ff000a010203"}, "malformed"},
		{"scope in a query", []string{"8:000118180a0102"}, "malformed"},
		{"scope with 0", []string{"8:00010018"}, "malformed"},
		{"address too short", []string{"8:000118000a01"}, "malformed"},
		{"address too long", []string{"8:000118000a010200"}, "malformed"},
		{"address with 0", []string{"8:000100000a"}, "malformed"},
		{"no address", []string{"8:00011800"}, "malformed"},
		{"longer than any address", []string{"8:000280" + "00" + fmt.Sprintf("%040x", 0)}, "malformed"},
		{"bits beyond the prefix", []string{"8:000117000a0103"}, "malformed"},
		{"bits beyond the prefix, IPv6", []string{"8:0002390020010db800040001"}, "malformed"},
		{"two", []string{"8:000108000a", "8:000108000a"}, "malformed"},
		{"two, the second malformed", []string{"8:000108000a", "8:"}, "malformed"},
		{"two, the first of them 0", []string{"8:00010000", "8:000108000a"}, "malformed"},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := serving(nil)
			m := ask("registry.example A")
			edns(4096, x.options...)(m)
			query := wire(t, m)
			reply := s.Answer(query, netip.MustParseAddr(whoFrom), false)
			got := unpack(t, reply)
			if x.want == "malformed" {
				if got.Rcode != dns.RcodeFormatError || got.IsEdns0() == nil || len(got.IsEdns0().Option) > 0 {
					t.Errorf("want FORMERR with EDNS and no option: %v", got)
				}
				s.wantCounter(t, "A formerr")
				return
			}
			if got.Rcode != dns.RcodeSuccess {
				t.Fatalf("rcode %s", dns.RcodeToString[got.Rcode])
			}
			sent, err := readSubnet(rawOptions(t, query))
			if err != nil || sent.String() != x.want {
				t.Fatalf("read as %v, %v; want %s", sent, err, x.want)
			}
			wantEcho(t, sent, reply)
		})
	}
}

// wantEcho wants family, source prefix length and address to come back to the byte.
func wantEcho(t *testing.T, sent *subnet, reply []byte) {
	t.Helper()
	options := rawOptions(t, reply)
	if sent == nil {
		if len(options) > 0 {
			t.Errorf("options %x in the reply, none sent", options)
		}
		return
	}
	got := options[4:]
	if len(got) != len(sent.raw) || !bytes.Equal(got[:3], sent.raw[:3]) || !bytes.Equal(got[4:], sent.raw[4:]) {
		t.Errorf("echo %x of %x", got, sent.raw)
	}
}

func rawOptions(t *testing.T, msg []byte) []byte {
	t.Helper()
	q, err := parse(msg)
	if err != nil || q.opt == nil {
		t.Fatalf("no OPT record: %v", err)
	}
	return q.opt.options
}

func TestScope(t *testing.T) {
	for _, x := range []struct {
		subnet, extent string
		want           int
	}{
		{"10.1.0.0/16", "10.0.0.0/8", 8},
		{"10.1.0.0/16", "10.1.0.0/24", 24},
		{"10.1.0.0/16", "0.0.0.0/0", 1},
		{"2001:db8::/48", "::/0", 1},
		{"::ffff:10.1.0.0/112", "0.0.0.0/0", 96},
		{"2001:db8::/48", "2001:db8::/32", 32},
		{"::ffff:10.1.0.0/112", "10.0.0.0/8", 104},
		{"::ffff:10.1.0.0/112", "10.1.0.0/32", 128},
		{"", "10.0.0.0/8", 0},
	} {
		s := &subnet{}
		if x.subnet != "" {
			s.prefix = netip.MustParsePrefix(x.subnet)
		}
		extent := netip.Prefix{}
		if x.extent != "" {
			extent = netip.MustParsePrefix(x.extent)
		}
		if got := s.scope(extent); got != x.want {
			t.Errorf("subnet %q over %q: %d, want %d", x.subnet, x.extent, got, x.want)
		}
	}
	if got := (*subnet)(nil).scope(netip.MustParsePrefix("10.0.0.0/8")); got != 0 {
		t.Errorf("none sent: %d", got)
	}
}

// FuzzSubnet holds what parseSubnet accepts against the library's looser reading: whatever ours
// takes, the library takes too, means the same by it and writes it the same way.
func FuzzSubnet(f *testing.F) {
	for _, s := range []string{"00010000", "00000000", "000118000a0102", "0002380020010db8000400", "000118180a0102",
		"00028000"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSubnet(data)
		if err != nil {
			return
		}
		m := &dns.Msg{Extra: []dns.RR{&dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT},
			Option: []dns.EDNS0{s.echo(0)}}}}
		theirs := unpack(t, wire(t, m))
		o := theirs.IsEdns0().Option[0].(*dns.EDNS0_SUBNET)
		if addr, _ := netip.AddrFromSlice(o.Address); s.source() > 0 && addr.Unmap() != s.addr() {
			t.Errorf("%x: we read %v, the library %v", data, s.addr(), addr)
		}
		if int(o.SourceNetmask) != s.source() || o.SourceScope != 0 {
			t.Errorf("%x: we read /%d, the library /%d/%d", data, s.source(), o.SourceNetmask, o.SourceScope)
		}
		if again := wire(t, theirs); !bytes.Equal(again, wire(t, m)) {
			t.Errorf("%x: the library writes it %x", data, again)
		}
	})
}
