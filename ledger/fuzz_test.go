package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func FuzzDecodeRow(f *testing.F) {
	f.Add(changed(seen(live(1, "a", 1, "east"), at(1, "b")), "gw1/01", 3).encode())
	f.Add([]byte(`{"v":1,"r":"app","n":"v1","x":true,"p":"east","t":{"w":1,"m":"a"}}`))
	f.Add([]byte(`{"v":2,"r":"_settings","n":"home","u":"\"west\"","p":"gw1","t":{"w":1,"m":"gw1"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRow(data)
		if err != nil {
			return
		}
		again, err := decodeRow(r.encode())
		if err != nil || !bytes.Equal(again.encode(), r.encode()) {
			t.Errorf("%s became %s, %v", r.encode(), again.encode(), err)
		}
	})
}

func FuzzMergePage(f *testing.F) {
	w := newWall()
	l := start(f, f.TempDir(), "gw1", w)
	defer l.Close()
	push(f, l, tag("v1"), digest(1), "east")
	page, err := l.Since(nil, 9)
	must(f, err)
	f.Add(page.Encode())
	f.Add([]byte(`{"rows":[{"v":2,"o":{"gw9/1":3}}],"from":{"gw9/1":1},"upTo":{"gw9/1":3},"more":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodePage(data)
		if err != nil {
			return
		}
		got, err := l.MergePage(p)
		if err != nil || len(got.News) > 0 && got.Refused == len(p.Rows) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// FuzzPatchedFile changes an intact file in one place.
func FuzzPatchedFile(f *testing.F) {
	l := start(f, f.TempDir(), "gw1", newWall())
	for i := range 9 {
		push(f, l, tag("v1"), digest(i), "east")
	}
	must(f, l.Close())
	data, err := os.ReadFile(l.path)
	must(f, err)
	data = data[:16*4096]
	f.Add(uint16(3*4096+10), []byte{1, 0})
	f.Add(uint16(0), []byte{})
	f.Fuzz(func(t *testing.T, at uint16, patch []byte) {
		dir := t.TempDir()
		spoilt := bytes.Clone(data)
		copy(spoilt[at:], patch)
		must(t, os.WriteFile(filepath.Join(dir, fileName), spoilt, 0o600))
		var opened, damaged int
		survive(t, dir, &opened, &damaged)
	})
}
