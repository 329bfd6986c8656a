package mmdb

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"

	"github.com/fairlead-gateway/fairlead/geo"
)

func small(t testing.TB, kind string) []byte {
	return build(t, mmdbwriter.Options{DatabaseType: kind}, []entry{
		{"81.2.64.0/20", join(in("GB"), city("London"), at(51.51, -0.09, 20))},
		{"192.0.2.0/24", join(in("US"), subdivision("CA"), at(34.05, -118.24, 500))},
		{"2001:db8::/32", in("NL")},
	})
}

func TestOpen(t *testing.T) {
	for _, kind := range []string{"GeoLite2-City", "GeoIP2-City", "GeoIP2-City-Europe", "GeoLite2-Country", "GeoIP2-Country"} {
		db := open(t, small(t, kind))
		if db.Type() != kind {
			t.Errorf("type %q, want %q", db.Type(), kind)
		}
		if want := time.Unix(built, 0); !db.Built().Equal(want) {
			t.Errorf("%s: built %v, want %v", kind, db.Built(), want)
		}
		if got := db.Locate(addr("81.2.69.142")); got.Country != "GB" {
			t.Errorf("%s: %+v, want GB", kind, got)
		}
	}
}

func TestOpenWithADescription(t *testing.T) {
	options := mmdbwriter.Options{DatabaseType: "GeoLite2-City", Description: map[string]string{"en": "test"}}
	if _, err := parse(build(t, options, nil)); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesOtherTypes(t *testing.T) {
	for _, kind := range []string{
		"GeoLite2-ASN", "GeoIP2-Enterprise", "GeoIP2-City-Mars", "DBIP-City-Lite", "ip-location-db dbip-city-ipv4", "city", "\xff",
	} {
		_, err := Open(write(t, small(t, kind)))
		if err == nil {
			t.Errorf("%q: no error", kind)
			continue
		}
		for _, word := range []string{strings.ToValidUTF8(kind, `\xff`), "GeoLite2-City", "GeoIP2-Country", "test.mmdb"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q: %v: does not say %q", kind, err, word)
			}
		}
	}
}

func TestOpenRefusesFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	huge := filepath.Join(dir, "huge")
	if err := errors.Join(os.WriteFile(huge, nil, 0o600), os.Truncate(huge, maxSize+1)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, says string }{
		{"absent", filepath.Join(dir, "absent"), "no such file"},
		{"a directory", dir, "not a regular file"},
		{"a pipe", pipe, "not a regular file"},
		{"too large", huge, "1073741825 bytes, more than 1073741824"},
		{"empty", write(t, nil), "invalid MaxMind DB file"},
		{"something else", write(t, []byte("hostname: registry.contoso.com\n")), "invalid MaxMind DB file"},
		{"twice its metadata's mark", write(t, append(small(t, "GeoLite2-City"), "\xab\xcd\xefMaxMind.com"...)), "test.mmdb"},
	} {
		if _, err := Open(tt.path); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one that says %q", tt.name, err, tt.says)
		}
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v is not fs.ErrNotExist", err)
	}
}

func TestParseRefusesEveryCut(t *testing.T) {
	for _, kind := range []string{"GeoLite2-City", "GeoLite2-Country"} {
		data := small(t, kind)
		for n := range data {
			if _, err := parse(data[:n:n]); err == nil {
				t.Errorf("%s: no error for %d bytes of %d", kind, n, len(data))
			}
			// Half of a file after a gap, as a broken download leaves it.
			gap := append(make([]byte, n), data[n:]...)
			if n > 0 && !bytes.Equal(gap, data) {
				useIfOpen(t, gap)
			}
		}
	}
}

// No lookup need ever meet such damage, so opening has to find it.
func TestParseRefusesHiddenDamage(t *testing.T) {
	data := small(t, "GeoLite2-City")
	separator := bytes.Index(data, make([]byte, 16))
	for _, tt := range []struct{ name, old, new string }{
		{"a record that runs on", "\x46London", "\x5fLondon"},
		{"a record cut by a gap", "\x46London", "\x00\x00\x00\x00\x00\x00\x00"},
		{"no text", "London", "Lond\xff\xfe"},
		{"a separator overwritten", string(data[separator : separator+20]), "\x01" + string(data[separator+1:separator+20])},
	} {
		spoilt := bytes.Replace(data, []byte(tt.old), []byte(tt.new), 1)
		if bytes.Equal(spoilt, data) {
			t.Fatalf("%s: nothing spoilt", tt.name)
		}
		if _, err := parse(spoilt); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}

// useIfOpen parses what may be corrupt; if it opens, it must be usable.
func useIfOpen(t *testing.T, data []byte) {
	db, err := parse(data)
	if err != nil {
		return
	}
	for _, s := range []string{"81.2.69.142", "192.0.2.1", "203.0.113.9", "0.0.0.0", "2001:db8::1", "::", "2002::1"} {
		got := db.Locate(addr(s))
		if !got.Scope.Contains(addr(s)) {
			t.Fatalf("%s: scope %v", s, got.Scope)
		}
		if got.Placed() && !got.Point.Valid() {
			t.Fatalf("%s: at %v", s, got.Point)
		}
	}
}

func TestParseEveryByteSpoilt(t *testing.T) {
	data := small(t, "GeoLite2-City")
	for i := range data {
		for _, flip := range []byte{0x01, 0x20, 0x80, 0xff} {
			spoilt := bytes.Clone(data)
			spoilt[i] ^= flip
			useIfOpen(t, spoilt)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small(f, "GeoLite2-City"))
	f.Add(small(f, "GeoLite2-Country"))
	f.Add(build(f, mmdbwriter.Options{DatabaseType: "GeoLite2-City", IPVersion: 4, RecordSize: 24}, nil))
	f.Add([]byte("\xab\xcd\xefMaxMind.com\xe0"))
	f.Fuzz(useIfOpen)
}

func TestFileMayChangeAfterOpen(t *testing.T) {
	path := write(t, small(t, "GeoLite2-City"))
	db, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	before := db.Locate(addr("81.2.69.142"))
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if after := db.Locate(addr("81.2.69.142")); after != before || before.Source != geo.SourceDatabase {
		t.Errorf("%+v before, %+v after the file was cut", before, after)
	}
}
