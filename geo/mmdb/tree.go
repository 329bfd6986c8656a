package mmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// tree is the binary search tree of a database. The library has an iterator of its own, but that may go on for ever: a
// damaged tree can have more branches than there are addresses, and it says nothing of those that end nowhere.
type tree struct {
	data   []byte
	nodes  uint
	bits   uint // of a record: half a node
	first  int  // depth of the root: IPv4 alone is as deep as it is in a tree of both families
	ipv4   uint // the node of all IPv4 addresses, to which others may point; nodes if there is none
	visit  func(p netip.Prefix, offset uint32) error
	unseen uint // nodes that have not been visited
}

// separator is the number of bytes between the tree and the data, which count in pointers to data.
const separator = 16

// newTree makes a tree that can be read: the library has not checked all that its own iterator looks at.
func newTree(data []byte, m maxminddb.Metadata) (*tree, error) {
	t := &tree{data: data, nodes: m.NodeCount, bits: m.RecordSize, unseen: m.NodeCount, ipv4: m.NodeCount}
	if t.bits != 24 && t.bits != 28 && t.bits != 32 {
		return nil, fmt.Errorf("damaged: records of %d bits", t.bits)
	}
	if t.nodes > uint(len(data))/(t.bits/4) {
		return nil, errors.New("damaged: its tree is longer than the file")
	}
	switch m.IPVersion {
	case 4:
		t.first = 96
	case 6:
		node, depth := uint(0), 0
		for node < t.nodes && depth < 96 {
			node, _ = t.children(node)
			depth++
		}
		if node < t.nodes {
			t.ipv4 = node
		}
	default:
		return nil, fmt.Errorf("damaged: IP version %d", m.IPVersion)
	}
	return t, nil
}

// networks visits all that have data, IPv4 first, each family in the order of its addresses.
func (t *tree) networks(visit func(p netip.Prefix, offset uint32) error) error {
	t.visit = visit
	return t.walk(0, [16]byte{}, t.first)
}

// mapped are the IPv4 addresses as sockets have them. They are found where IPv4 has its place, at ::/96.
var mapped = netip.MustParseAddr("::ffff:0:0").As16()

func (t *tree) walk(node uint, addr [16]byte, depth int) error {
	switch {
	case node == t.nodes:
		return nil
	case node == t.ipv4 && addr != [16]byte{}, depth == 96 && addr == mapped:
		return nil // another way to IPv4, such as 6to4
	case node > t.nodes:
		if node < t.nodes+separator {
			return fmt.Errorf("damaged: its tree points between itself and the data at %s", prefix(addr, depth))
		}
		return t.visit(prefix(addr, depth), uint32(node-t.nodes-separator))
	case depth == 128 || t.unseen == 0:
		return fmt.Errorf("damaged: its tree comes back to where it was at %s", prefix(addr, depth))
	}
	t.unseen--
	left, right := t.children(node)
	if err := t.walk(left, addr, depth+1); err != nil {
		return err
	}
	addr[depth/8] |= 0x80 >> (depth % 8)
	return t.walk(right, addr, depth+1)
}

func (t *tree) children(node uint) (left, right uint) {
	n := t.data[node*(t.bits/4):]
	switch t.bits {
	case 24:
		return uint(n[0])<<16 | uint(n[1])<<8 | uint(n[2]), uint(n[3])<<16 | uint(n[4])<<8 | uint(n[5])
	case 28: // both have their highest bits in the byte between them
		return uint(n[3]>>4)<<24 | uint(n[0])<<16 | uint(n[1])<<8 | uint(n[2]),
			uint(binary.BigEndian.Uint32(n[3:]) & 0xfffffff)
	}
	return uint(binary.BigEndian.Uint32(n)), uint(binary.BigEndian.Uint32(n[4:]))
}

// prefix of IPv4 is what is in ::/96.
func prefix(addr [16]byte, depth int) netip.Prefix {
	if depth >= 96 && [12]byte(addr[:12]) == [12]byte{} {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(addr[12:])), depth-96)
	}
	return netip.PrefixFrom(netip.AddrFrom16(addr), depth)
}
