// Package mmdb reads MaxMind City and Country databases.
package mmdb

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/oschwald/geoip2-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2"
)

// maxSize bounds the memory a file can take, in bytes. The largest City
// database is about a tenth of it.
const maxSize = 1 << 30

// The database types that are read, as their metadata name them.
var (
	cityTypes = []string{
		"GeoLite2-City", "GeoIP2-City", "GeoIP2-City-Africa", "GeoIP2-City-Asia-Pacific",
		"GeoIP2-City-Europe", "GeoIP2-City-North-America", "GeoIP2-City-South-America",
	}
	countryTypes = []string{"GeoLite2-Country", "GeoIP2-Country"}
)

// Database is a geo database held in memory. It never changes, and any number
// of goroutines may use it at once.
type Database struct {
	// Static after Open.
	reader *geoip2.Reader
	lookup func(*geoip2.Reader, netip.Addr) (record, error)
}

// Open reads a database of type City or Country into memory. The whole of it
// is verified, some 30 ms for each MB: a file that is corrupt, cut short, over
// 1 GiB or of another type is an error. Nothing is mapped, so the file may be
// replaced or cut in place afterwards.
func Open(path string) (*Database, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	db, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

func readFile(path string) ([]byte, error) {
	// Before opening: to open a named pipe waits for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("%s: %d bytes, more than %d", path, info.Size(), maxSize)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

func parse(data []byte) (*Database, error) {
	raw, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	db := &Database{}
	switch kind := raw.Metadata.DatabaseType; {
	case slices.Contains(cityTypes, kind):
		db.lookup = cityRecord
	case slices.Contains(countryTypes, kind):
		db.lookup = countryRecord
	default:
		return nil, fmt.Errorf("database type %q: only these are read: %s",
			kind, strings.Join(slices.Concat(cityTypes, countryTypes), ", "))
	}
	// Verify wants a description, which many a private database does without.
	if len(raw.Metadata.Description) == 0 {
		raw.Metadata.Description = map[string]string{"en": raw.Metadata.DatabaseType}
	}
	// A lookup meets damage only on its own path through the file, perhaps weeks
	// later. Met here, the database that was in use goes on.
	if err := raw.Verify(); err != nil {
		return nil, err
	}
	if db.reader, err = geoip2.OpenBytes(data); err != nil {
		return nil, err
	}
	return db, nil
}

// Built is when the database was built, by its own metadata.
func (db *Database) Built() time.Time { return db.reader.Metadata().BuildTime() }

// Type is the type of the database, such as "GeoLite2-City".
func (db *Database) Type() string { return db.reader.Metadata().DatabaseType }
