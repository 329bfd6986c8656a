package webhook

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckAddress(t *testing.T) {
	for want, list := range map[class][]string{
		public: {"8.8.8.8", "1.1.1.1", "52.0.0.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1",
			"2606:4700::1111",
			"::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"},
		private: {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.255.255.254",
			"100.64.0.1",
			"100.127.255.255", "::1", "fc00::1", "fd12::1",
			"::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::",
			"2002:c0a8:101::1"},
		never: {"0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1",
			"198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1",
			"239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200", "::", "::2",
			"::7f00:1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
			"fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
			"2002:a9fe:a9fe::", "2001::1", "2001:db8::1", "3fff::1", "100::1", "4000::1"},
	} {
		for _, s := range list {
			a := netip.MustParseAddr(s)
			if got := checkAddress(a, false) == nil; got != (want == public) {
				t.Errorf("%s: allowed %v", s, got)
			}
			if got := checkAddress(a, true) == nil; got != (want != never) {
				t.Errorf("%s where private ones are allowed: allowed %v", s, got)
			}
		}
	}
	if checkAddress(netip.Addr{}, true) == nil {
		t.Error("no address is allowed")
	}
}

// What Go itself calls private, loopback and so on is never reached, in no form of it.
func TestCheckAddressAgreesWithGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		a := netip.AddrFrom4(b)
		inside := a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()
		sixToFour := [16]byte{0x20, 0x02, b[0], b[1], b[2], b[3], 15: 1}
		nat64 := [16]byte{0, 0x64, 0xff, 0x9b, 12: b[0], b[1], b[2], b[3]}
		for _, form := range []netip.Addr{a, netip.AddrFrom16(a.As16()), netip.AddrFrom16(sixToFour),
			netip.AddrFrom16(nat64)} {
			if err := checkAddress(form, false); inside && err == nil {
				t.Errorf("%s is allowed", form)
			}
		}
	})
}
