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

// maxEncoded bounds a table in bytes when it is unpacked; the whole Internet's is a quarter of it.
const maxEncoded = 64 << 20

var errTooLarge = errors.New("more than 64 MiB")

// Unpack is the table that Pack was given. Whatever it is given, it ends, within bounds of memory.
func Unpack(data []byte) (*geo.Table, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	// The last four bytes say how long it is (RFC 1952, section 2.3.1). If that is not so it only takes longer.
	var encoded bytes.Buffer
	encoded.Grow(int(min(binary.LittleEndian.Uint32(data[len(data)-4:]), maxEncoded)) + bytes.MinRead)
	if _, err := encoded.ReadFrom(io.LimitReader(z, maxEncoded+1)); err != nil {
		return nil, err
	}
	if encoded.Len() > maxEncoded {
		return nil, errTooLarge
	}
	return geo.ReadTable(encoded.Bytes())
}
