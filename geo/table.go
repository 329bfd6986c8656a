package geo

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Of an IPv6 address a table looks at no more than this: shorter than what sites are given (RFC 6177) nobody moves
// about in.
const tableBits6 = 48

// Table says where every address is, to the cell of one degree by one degree. It never changes, and any number of
// goroutines may use it at once.
type Table struct {
	// Static after Builder.Table, or ReadTable.
	Name      string    // of the database, as its own metadata or its publisher has it
	Built     time.Time // when the database was
	v4        *runs[uint16]
	v6        *runs[uint32]
	locations []Location // by value; the first is that of addresses that nobody knows
}

// Locate says where addr is taken to be, IPv4-mapped or not.
func (t *Table) Locate(addr netip.Addr) Location {
	addr = plainAddr(addr)
	switch {
	case !addr.IsValid():
		return Location{Source: SourceNone}
	case addr.Is4():
		return t.locations[t.v4.value[t.v4.find(key4(addr))]]
	}
	return t.locations[t.v6.value[t.v6.find(key6(addr))]]
}

// Cells are how many different places the table knows, those of whole countries among them.
func (t *Table) Cells() int { return len(t.locations) - 1 }

func key4(addr netip.Addr) uint64 {
	b := addr.As4()
	return uint64(binary.BigEndian.Uint32(b[:]))
}

// key6 is what a table looks at.
func key6(addr netip.Addr) uint64 {
	return half6(addr) >> (64 - tableBits6)
}

// half6 is the first half of an IPv6 address.
func half6(addr netip.Addr) uint64 {
	b := addr.As16()
	return binary.BigEndian.Uint64(b[:8])
}

// addr6 is the first address with a key.
func addr6(key uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], key<<(64-tableBits6))
	return netip.AddrFrom16(b)
}

// nowhere knows of no address.
var nowhere = must(NewBuilder(Options{}).Table())
