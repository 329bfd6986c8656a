package dnsserver

import (
	"encoding/binary"
	"errors"

	"github.com/miekg/dns"
)

// headerSize is the length of the fixed header (RFC 1035, section 4.1.1), in bytes.
const headerSize = 12

// maxName is the length of the longest name on the wire (RFC 1035, section 2.3.4), in bytes.
const maxName = 255

// query is what a packet asks, as far as it could be read.
type query struct {
	id     uint16
	opcode int
	rd     bool

	// Of the question, if there is exactly one and it could be read; name is empty otherwise.
	name   string // presentation form, in the query's case
	wire   []byte // uncompressed wire form, in lower case
	qtype  uint16
	qclass uint16

	opt    *opt    // nil: no EDNS
	subnet *subnet // nil: no client subnet sent, or not read
}

// opt is the OPT record of a query (RFC 6891, section 6.1).
type opt struct {
	udpSize uint16 // what the client can take, in bytes
	version uint8
	do      bool
	options []byte // not looked into yet
}

var (
	errShort    = errors.New("message ends early")
	errName     = errors.New("name is malformed")
	errQuestion = errors.New("not exactly one question")
	errOPT      = errors.New("OPT record is malformed, misplaced or repeated")
)

func isResponse(msg []byte) bool { return msg[2]&0x80 != 0 }

// parse reads a message of at least headerSize bytes. With an error the query holds what was read
// until then: its header always.
//
// It is our own because the library's reading of a client subnet forgives what RFC 7871 wants
// refused, and because it builds every record of a packet, while only the question and OPT matter:
// this walk takes time linear in the packet's length and follows no compression pointer. Bytes after
// the last counted record are not looked at: firewalls are known to cut EDNS off by lowering ARCOUNT
// alone.
func parse(msg []byte) (query, error) {
	q := query{
		id:     binary.BigEndian.Uint16(msg),
		opcode: int(msg[2] >> 3 & 0xF),
		rd:     msg[2]&1 != 0,
	}
	counts := [4]int{} // QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT
	for i := range counts {
		counts[i] = int(binary.BigEndian.Uint16(msg[4+2*i:]))
	}
	var err error
	off := headerSize
	for range counts[0] {
		if off, err = q.readQuestion(msg, off, counts[0] == 1); err != nil {
			return q, err
		}
	}
	for section := 1; section < len(counts); section++ {
		for range counts[section] {
			if off, err = q.readRecord(msg, off, section == 3); err != nil {
				return q, err
			}
		}
	}
	if counts[0] != 1 {
		return q, errQuestion // RFC 9619
	}
	return q, nil
}

// readQuestion passes over one question and remembers it if it is the only one.
func (q *query) readQuestion(msg []byte, start int, only bool) (int, error) {
	// There is no name before the first to point to; the bytes of its own labels are none.
	end, err := skipName(msg, start, false)
	if err != nil {
		return 0, err
	}
	if len(msg) < end+4 {
		return 0, errShort
	}
	if !only {
		return end + 4, nil
	}
	name := msg[start:end]
	if q.name, _, err = dns.UnpackDomainName(name, 0); err != nil {
		return 0, err
	}
	q.wire = lower(name)
	q.qtype = binary.BigEndian.Uint16(msg[end:])
	q.qclass = binary.BigEndian.Uint16(msg[end+2:])
	return end + 4, nil
}

// readRecord passes over one record and remembers it if it is OPT.
func (q *query) readRecord(msg []byte, start int, additional bool) (int, error) {
	end, err := skipName(msg, start, true)
	if err != nil {
		return 0, err
	}
	if len(msg) < end+10 {
		return 0, errShort
	}
	fixed, data := msg[end:end+10], end+10
	next := data + int(binary.BigEndian.Uint16(fixed[8:]))
	if len(msg) < next {
		return 0, errShort
	}
	if binary.BigEndian.Uint16(fixed) != dns.TypeOPT {
		return next, nil
	}
	if q.opt != nil || !additional || msg[start] != 0 {
		return 0, errOPT // RFC 6891, sections 6.1.1 and 6.1.2
	}
	q.opt = &opt{
		udpSize: binary.BigEndian.Uint16(fixed[2:]),
		version: fixed[5],
		do:      fixed[6]&0x80 != 0,
		options: msg[data:next],
	}
	return next, nil
}

// skipName finds where a name ends, without following its pointer; only a compressed name may have one.
func skipName(msg []byte, start int, compressed bool) (int, error) {
	for off := start; off < len(msg) && off-start < maxName; {
		switch label := msg[off]; {
		case label == 0:
			return off + 1, nil
		case compressed && label&0xC0 == 0xC0 && off+1 < len(msg):
			return off + 2, nil
		case label&0xC0 != 0:
			return 0, errName
		default:
			off += 1 + int(label)
		}
	}
	return 0, errName
}

// lower copies a name, with ASCII letters in lower case and every other byte as it is (RFC 4343). The
// lengths of labels, at most 63, are no letters.
func lower(name []byte) []byte {
	out := make([]byte, len(name))
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		out[i] = b
	}
	return out
}
