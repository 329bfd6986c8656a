package strict

// What a byte may stand in.
const (
	inToken  = 1 << iota // RFC 9110, 5.6.2: methods, names of fields
	inValue              // RFC 9110, 5.5: visible characters, obs-text, space and tab
	inTarget             // visible ASCII without the fragment's mark, which no client sends (RFC 9112, 3.2)
	inHost               // of RFC 3986's reg-name what names of hosts are made of
	inHex
	inQuoted // RFC 9110, 5.6.4, between quotation marks, backslash excepted
)

// chars says of each byte what it may stand in. Static.
var chars = func() (t [256]uint8) {
	set := func(class uint8, from, to int) {
		for b := from; b <= to; b++ {
			t[b] |= class
		}
	}
	for _, letters := range [][2]int{{'a', 'z'}, {'A', 'Z'}, {'0', '9'}} {
		set(inToken|inHost, letters[0], letters[1])
	}
	for _, hex := range [][2]int{{'a', 'f'}, {'A', 'F'}, {'0', '9'}} {
		set(inHex, hex[0], hex[1])
	}
	for _, b := range "!#$%&'*+-.^_`|~" {
		t[b] |= inToken
	}
	for _, b := range "-._~" {
		t[b] |= inHost
	}
	set(inValue|inQuoted, ' ', '~')
	set(inValue|inQuoted, 0x80, 0xff)
	t['\t'] |= inValue | inQuoted
	t['"'] &^= inQuoted
	t['\\'] &^= inQuoted
	set(inTarget, '!', '~')
	t['#'] &^= inTarget
	return t
}()

// all reports whether every byte may stand in that.
func all[S string | []byte](class uint8, b S) bool {
	for i := range len(b) {
		if chars[b[i]]&class == 0 {
			return false
		}
	}
	return true
}

// is compares with a name in lower case.
func is[S string | []byte](b S, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(b) {
		if c := b[i]; c != lower[i] && (c < 'A' || c > 'Z' || c|0x20 != lower[i]) {
			return false
		}
	}
	return true
}

// same compares without regard to capitals.
func same(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if fold(c) != fold(b[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// trim takes white space off both ends (RFC 9110, 5.6.3).
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
