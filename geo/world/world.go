// Package world has the table that is built into the program: where every address is, without a file and without a key.
package world

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/geo"
)

// Attribution is what the licence of the table's source asks for (CC BY 4.0).
const Attribution = "IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0"

//go:embed table.bin
var stored []byte

// Table is the built-in one. The first call unpacks it, some 0.12 s; a test holds that it can be.
var Table = sync.OnceValue(func() *geo.Table {
	t, err := Unpack(stored)
	if err != nil {
		panic(err)
	}
	return t
})

// Origin is the name and the date of Table, of which it unpacks no more than that.
func Origin() (name string, built time.Time) {
	var start [1 << 10]byte
	z, err := gzip.NewReader(bytes.NewReader(stored))
	if err == nil {
		_, err = io.ReadFull(z, start[:])
	}
	if err == nil {
		name, built, err = geo.ReadOrigin(start[:])
	}
	if err != nil {
		panic(err) // a test holds that it can be read
	}
	return name, built
}

// Pack is a table as it is built in. With one version of Go it is always the same.
func Pack(t *geo.Table) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err) // only for a level that there is not
	}
	// A Buffer takes everything.
	_, _ = z.Write(t.Encode())
	_ = z.Close()
	return out.Bytes()
}

// maxEncoded bounds a table in bytes when it is unpacked; the whole Internet's is a quarter of it. No byte of what is
// packed becomes more than maxRatio of them (RFC 1951: 258 for two bits).
const (
	maxEncoded = 64 << 20
	maxRatio   = 258 * 4
)

var errTooLarge = errors.New("more than a table may be")

// Unpack is the table that Pack was given. Whatever it is given, it ends, within bounds of memory.
func Unpack(data []byte) (*geo.Table, error) { return unpack(data, maxEncoded) }

func unpack(data []byte, most int) (*geo.Table, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	// The last four bytes say how long it is (RFC 1952, section 2.3.1). If that is not so it only takes longer.
	var encoded bytes.Buffer
	says := int64(binary.LittleEndian.Uint32(data[len(data)-4:]))
	encoded.Grow(int(min(says, int64(most), maxRatio*int64(len(data)))) + bytes.MinRead)
	if _, err := encoded.ReadFrom(io.LimitReader(z, int64(most)+1)); err != nil {
		return nil, err
	}
	if encoded.Len() > most {
		return nil, errTooLarge
	}
	return geo.ReadTable(encoded.Bytes())
}
