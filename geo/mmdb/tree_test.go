package mmdb

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/fairlead-gateway/fairlead/geo"
)

type found struct {
	prefix netip.Prefix
	offset uint32
}

// What the tree has is what the library's own iterator finds.
func TestTreeIsReadAsTheLibraryDoes(t *testing.T) {
	v4 := []entry{{"0.0.0.0/8", london}, {"10.0.0.0/8", utrecht}, {"10.1.2.3/32", tokyo}, {"192.0.2.0/24", london},
		{"255.255.255.255/32", tokyo}}
	v6 := []entry{{"2001:db8::/32", london}, {"2001:db8::1/128", tokyo}, {"2a00::/12", utrecht}, {"ffff::/16", tokyo}}
	both := slices.Concat(v4, v6)
	for _, tt := range []struct {
		name    string
		options mmdbwriter.Options
		entries []entry
	}{
		{"both families", mmdbwriter.Options{}, both},
		{"IPv4 in a tree of both", mmdbwriter.Options{}, v4},
		{"IPv6 in a tree of both", mmdbwriter.Options{}, v6},
		{"without aliases", mmdbwriter.Options{DisableIPv4Aliasing: true}, both},
		{"IPv4 alone", mmdbwriter.Options{IPVersion: 4}, v4},
		{"all of IPv4", mmdbwriter.Options{IPVersion: 4}, []entry{{"0.0.0.0/1", london}, {"128.0.0.0/1", utrecht}}},
		{"more than all of IPv4", mmdbwriter.Options{DisableIPv4Aliasing: true},
			[]entry{{"::/8", london}, {"2000::/3", utrecht}}},
		{"nothing", mmdbwriter.Options{}, nil},
	} {
		for _, size := range []int{24, 28, 32} {
			tt.options.RecordSize = size
			data := build(t, tt.options, tt.entries)
			db, err := maxminddb.OpenBytes(data)
			if err != nil {
				t.Fatal(err)
			}
			var want, got []found
			for n := range db.Networks() {
				want = append(want, found{n.Prefix(), uint32(n.Offset())})
			}
			tree, err := newTree(data, db.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			if err := tree.networks(func(p netip.Prefix, offset uint32) error {
				got = append(got, found{p, offset})
				return nil
			}); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s, %d bits: %v %v, want %v", tt.name, size, got, err, want)
			}
			if len(tt.entries) > 0 && len(got) < len(tt.entries) {
				t.Errorf("%s, %d bits: %d networks of %d", tt.name, size, len(got), len(tt.entries))
			}
		}
	}
}

// raw is a database with a tree of 32-bit records as given.
func raw(version byte, nodes [][2]uint32, data string) []byte {
	var b []byte
	for _, n := range nodes {
		b = binary.BigEndian.AppendUint32(b, n[0])
		b = binary.BigEndian.AppendUint32(b, n[1])
	}
	b = append(b, make([]byte, separator)...)
	b = append(b, data...)
	b = append(b, "\xab\xcd\xefMaxMind.com\xe5\x4anode_count\xc4"...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(nodes)))
	b = append(b, "\x4brecord_size\xa1\x20\x4aip_version\xa1"...)
	b = append(b, version)
	return append(b, "\x4ddatabase_type\x44test\x4bbuild_epoch\xc1\x01"...)
}

func TestNodes(t *testing.T) {
	for bits, want := range map[uint][2]uint{24: {0x123456, 0xabcdef}, 28: {0xa123456, 0xbcdef01},
		32: {0x123456ab, 0xcdef0123}} {
		tree := tree{data: []byte{0x12, 0x34, 0x56, 0xab, 0xcd, 0xef, 0x01, 0x23}, bits: bits}
		if left, right := tree.children(0); left != want[0] || right != want[1] {
			t.Errorf("%d bits: %x and %x, want %x", bits, left, right, want)
		}
	}
}

// Of so many nodes the size in bytes is more than a number can be, and so seems small.
func TestTreeOfTooManyNodes(t *testing.T) {
	data := raw(4, [][2]uint32{{1 + separator, 1}}, "\xe1\x47country\xe1\x48iso_code\x42NL")
	data = bytes.Replace(data, []byte("node_count\xc4\x00\x00\x00\x01"),
		[]byte("node_count\x08\x02\x1f\xff\xff\xff\xff\xff\xff\xff"), 1)
	if _, err := add(geo.NewBuilder(geo.Options{}), data); err == nil ||
		!strings.Contains(err.Error(), "longer than the file") {
		t.Error(err)
	}
}

// Each of these trees would take longer than the world lasts, or says nothing that can be true.
func TestDamagedTreesAreRefused(t *testing.T) {
	const data = "\xe1\x47country\xe1\x48iso_code\x42NL"
	// doubled has two ways from each node to the next, and so 2^n to its end.
	doubled := func(n int, end uint32) [][2]uint32 {
		var nodes [][2]uint32
		for i := range n {
			nodes = append(nodes, [2]uint32{uint32(i + 1), uint32(i + 1)})
		}
		nodes[n-1] = [2]uint32{end, end}
		return nodes
	}
	for _, tt := range []struct {
		name    string
		version byte
		nodes   [][2]uint32
		says    string
	}{
		{"all ways lead to nothing", 6, doubled(120, 120), "comes back"},
		{"all ways lead to one record", 6, doubled(120, 120+separator), "comes back"},
		{"all ways lead to IPv4", 6, doubled(97, 97), "comes back"},
		{"all ways of IPv4 lead to nothing", 4, doubled(31, 31), "comes back"},
		{"a node is its own child", 4, [][2]uint32{{0, 1}}, "comes back"},
		{"a node is its own child, of both families", 6, [][2]uint32{{0, 1}}, "comes back"},
		{"a child is its grandparent", 6, [][2]uint32{{1, 2}, {0, 2}}, "comes back"},
		{"deeper than an address is long", 4, doubled(33, 33), "comes back"},
		{"into the separator", 4, [][2]uint32{{2, 1}}, "between itself and the data"},
		{"behind the data", 4, [][2]uint32{{1 + separator + uint32(len(data)), 1}}, "0.0.0.0/1"},
		{"far behind the data", 6, [][2]uint32{{1, 0xffffffff}}, "8000::/1"},
		{"an IP version that there is not", 5, [][2]uint32{{1, 1}}, "IP version 5"},
		{"no nodes", 6, nil, "no networks"},
	} {
		_, err := add(geo.NewBuilder(geo.Options{}), raw(tt.version, tt.nodes, data))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want one that says %q", tt.name, err, tt.says)
		}
	}
	b := geo.NewBuilder(geo.Options{})
	if _, err := add(b, raw(4, [][2]uint32{{1 + separator, 1}}, data)); err != nil {
		t.Errorf("what is not damaged: %v", err)
	}
}
