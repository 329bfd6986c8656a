// Package mmdb makes tables of geo databases in MaxMind's file format, whoever made them.
package mmdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/fairlead-gateway/fairlead/geo"
)

// maxSize bounds the memory a file can take, in bytes. The largest City database is about a tenth of it.
const maxSize = 1 << 30

// Load reads databases into one table: of both families, or one file for each of them. All that is used of a file is
// read and checked: what is damaged, cut short, over 1 GiB or in none of the schemas is an error. Nothing is mapped,
// and nothing of a file is used later, so it may be replaced or cut in place at any time.
func Load(bits4 int, paths ...string) (t *geo.Table, r geo.Report, err error) {
	// no file, whatever it holds, may end the program: the library promises no bounds for what is damaged
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: damaged: %v", strings.Join(paths, ", "), p)
		}
	}()
	return load(bits4, paths)
}

func load(bits4 int, paths []string) (*geo.Table, geo.Report, error) {
	if len(paths) == 0 {
		return nil, geo.Report{}, errors.New("no database is named")
	}
	b := geo.NewBuilder(geo.Options{Bits4: bits4})
	var names []string
	var built time.Time
	for i, path := range paths {
		data, err := readFile(path)
		if failed := (*fs.PathError)(nil); errors.As(err, &failed) { // it names the file itself
			return nil, geo.Report{}, err
		}
		if err != nil {
			return nil, geo.Report{}, fmt.Errorf("%s: %w", path, err)
		}
		m, err := add(b, data)
		if errors.Is(err, geo.ErrOrder) && i > 0 { // within one tree there is no other order
			err = fmt.Errorf("it has networks of a family of which %s has some: %w", strings.Join(paths[:i], " or "),
				err)
		}
		if err != nil {
			return nil, geo.Report{}, fmt.Errorf("%s: %w", path, err)
		}
		names = append(names, m.DatabaseType)
		if made := m.BuildTime().UTC(); made.After(built) {
			built = made
		}
	}
	t, err := b.Table()
	if err != nil {
		return nil, geo.Report{}, err
	}
	t.Name, t.Built = strings.Join(names, ", "), built
	return t, b.Report(), nil
}

// add gives a builder all networks of a file.
func add(b *geo.Builder, data []byte) (m maxminddb.Metadata, err error) {
	db, err := maxminddb.OpenBytes(data)
	if err != nil {
		return m, err
	}
	t, err := newTree(data, db.Metadata)
	if err != nil {
		return m, err
	}
	var read schema
	numbers := map[uint32]int32{} // of records, by where they are in the file, which is no longer than 1 GiB
	err = t.networks(func(p netip.Prefix, offset uint32) error {
		number, known := numbers[offset]
		if !known {
			result := db.LookupOffset(uintptr(offset))
			if read == nil {
				if read, err = schemaOf(result); err != nil {
					return fmt.Errorf("%s: %w", p, err)
				}
			}
			var r geo.Record
			if read != nil {
				if r, err = read(result); err != nil {
					return fmt.Errorf("%s: %w", p, err)
				}
			}
			number = int32(b.Record(r))
			numbers[offset] = number
		}
		if err := b.Network(p, int(number)); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		return nil
	})
	switch {
	case err != nil:
	case len(numbers) == 0:
		err = errors.New("it has no networks")
	case read == nil:
		err = fmt.Errorf("database type %q: its records have neither location nor country as MaxMind's City, Country and Enterprise have, nor latitude and country_code",
			db.Metadata.DatabaseType)
	}
	return db.Metadata, err
}

func readFile(path string) ([]byte, error) {
	// To open a named pipe waits for a writer, unless it must not block.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if before.Size() > maxSize {
		return nil, fmt.Errorf("%d bytes, more than %d", before.Size(), maxSize)
	}
	data := make([]byte, before.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !same([]os.FileInfo{before}, []os.FileInfo{after}) {
		return nil, errors.New("it was written while it was read")
	}
	return data, nil
}
