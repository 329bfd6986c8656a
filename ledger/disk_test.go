package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairlead-gateway/fairlead/boltfile"
)

func copyFile(t failer, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o600))
}

// tmpfs is a disk of 1 MB.
func tmpfs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("SKIPPED: no tmpfs can be mounted here (it takes root): %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

func TestFullDisk(t *testing.T) {
	disk := tmpfs(t)
	dir, ballast := filepath.Join(disk, "ledger"), filepath.Join(disk, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 1<<19), 0o600))
	l, err := attempt(dir, "gw1", Named(regions...), newWall().now)
	must(t, err)
	written := 0
	fill := func() {
		for ; ; written++ {
			if _, err := l.Push(tag(fmt.Sprint("v", written)), Content{Digest: digest(written), MediaType: mediaType,
				Size: 1}, "east", Request{}); err != nil {
				wantError(t, err, ErrUnavailable)
				wantError(t, err, syscall.ENOSPC)
				return
			}
		}
	}
	complete := func() {
		t.Helper()
		for i := range written {
			if get(t, l, tag(fmt.Sprint("v", i))).Digest != digest(i) || get(t, l, tag(digest(i))).Name == "" {
				t.Fatalf("of %d, number %d is lost", written, i)
			}
		}
	}
	fill()
	first := written
	for range 20 { // it stays full, and stays readable
		_, err := l.Push(tag("more"), Content{Digest: digest(1), MediaType: mediaType, Size: 1}, "east", Request{})
		if err != nil {
			wantError(t, err, ErrUnavailable)
		}
		complete()
	}
	must(t, os.Remove(ballast))
	fill()
	t.Logf("%d pushes in 0.5 MB, %d in 1 MB", first, written)
	if first < 50 || written < first+50 {
		t.Errorf("%d pushes, and %d when there was room again", first, written)
	}
	complete()
	must(t, l.Close())
	l, err = attempt(dir, "gw1", Named(regions...), newWall().now) // takes no room
	must(t, err)
	complete()
	checkIntegrity(t, l)
	must(t, l.Close())
}

func TestNoRoomForANewFile(t *testing.T) {
	disk := tmpfs(t)
	ballast := filepath.Join(disk, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 1<<20-2*4096), 0o600)
	for range 2 {
		_, err := attempt(filepath.Join(disk, "ledger"), "gw1", nil, newWall().now)
		wantError(t, err, ErrUnavailable)
	}
	must(t, os.Remove(ballast))
	l, err := attempt(filepath.Join(disk, "ledger"), "gw1", nil, newWall().now)
	must(t, err)
	push(t, l, tag("v1"), digest(1), "east")
	must(t, l.Close())
}

func TestReadOnlyDisk(t *testing.T) {
	disk := tmpfs(t)
	l, err := attempt(disk, "gw1", nil, newWall().now)
	must(t, err)
	push(t, l, tag("v1"), digest(1), "east")
	must(t, l.Close())
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	_, err = attempt(disk, "gw1", nil, newWall().now)
	wantError(t, err, ErrUnavailable)
	wantError(t, err, syscall.EROFS)
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, ""))
	l, err = attempt(disk, "gw1", nil, newWall().now)
	must(t, err)
	if get(t, l, tag("v1")).Name == "" {
		t.Error("lost")
	}
	must(t, l.Close())
}

func TestOneWriter(t *testing.T) {
	l, _ := one(t)
	_, err := attempt(filepath.Dir(l.path), "gw1", nil, newWall().now)
	wantError(t, err, ErrUnavailable)
	wantError(t, err, boltfile.ErrLocked)
	if !bytes.Contains([]byte(err.Error()), []byte(l.path)) {
		t.Errorf("%v does not name the file", err)
	}
	push(t, l, tag("v1"), digest(1), "east")
}

// filled is a file with pages of every kind.
func filled(t *testing.T, count int) (path string, data []byte) {
	t.Helper()
	l := start(t, t.TempDir(), "gw1", newWall())
	for i := range count {
		push(t, l, tag(fmt.Sprint("v", i)), digest(i), "east")
	}
	for i := range count / 4 {
		remove(t, l, tag(digest(2*i)), "east")
	}
	must(t, l.Close())
	data, err := os.ReadFile(l.path)
	must(t, err)
	return l.path, data[:4096*(len(bytes.TrimRight(data, "\x00"))/4096+1)] // the file grows in large steps
}

// What is where in bbolt's pages.
const (
	pageHeader = 16
	element    = 16
	flagBranch = 0x01
	flagFree   = 0x10
)

var order = binary.NativeEndian

// pageOf is a page in use: the list of free pages, or the first bucket's page that is a branch.
func pageOf(d []byte, flags uint16) int {
	newest := d[pageHeader:]
	if other := d[4096+pageHeader:]; order.Uint64(other[48:]) > order.Uint64(newest[48:]) {
		newest = other
	}
	if flags == flagFree {
		return int(order.Uint64(newest[32:]))
	}
	root := d[order.Uint64(newest[16:])*4096:]
	for i := range int(order.Uint16(root[10:])) {
		e := root[pageHeader+i*element:]
		child := int(order.Uint64(e[order.Uint32(e[4:])+order.Uint32(e[8:]):]))
		if child != 0 && order.Uint16(d[child*4096+8:]) == flags {
			return child
		}
	}
	panic("there is none")
}

func TestDamagedFile(t *testing.T) {
	path, data := filled(t, 60)
	for name, spoil := range map[string]func([]byte) []byte{
		"cut short":       func(d []byte) []byte { return d[:5*4096] },
		"cut to one page": func(d []byte) []byte { return d[:4096] },
		"another file":    func([]byte) []byte { return bytes.Repeat([]byte("no ledger\n"), 5000) },
		"a few bytes":     func([]byte) []byte { return []byte("x") },
		"zeros":           func(d []byte) []byte { return make([]byte, len(d)) },
		"zeros but metas": func(d []byte) []byte { return append(d[:8192:8192], make([]byte, len(d)-8192)...) },
		"ones but metas": func(d []byte) []byte {
			return append(d[:8192:8192],
				bytes.Repeat([]byte{0xff}, len(d)-8192)...)
		},
		"pages in a row": func(d []byte) []byte {
			return append(d[:8192:8192],
				bytes.Repeat(d[8192:12288], len(d)/4096-2)...)
		},
		"a circle": func(d []byte) []byte {
			id := pageOf(d, flagBranch)
			order.PutUint64(d[id*4096+pageHeader+8:], uint64(id)) // its first child
			return d
		},
		"one child twice": func(d []byte) []byte {
			at := pageOf(d, flagBranch)*4096 + pageHeader
			order.PutUint64(d[at+8:], order.Uint64(d[at+element+8:]))
			return d
		},
		"a free page in use": func(d []byte) []byte {
			order.PutUint64(d[pageOf(d, flagFree)*4096+pageHeader:], uint64(pageOf(d, flagBranch)))
			return d
		},
		"no end of free pages": func(d []byte) []byte {
			at := pageOf(d, flagFree) * 4096
			order.PutUint16(d[at+10:], 0xffff)
			order.PutUint64(d[at+pageHeader:], 1<<40)
			return d
		},
		"a key out of order": func(d []byte) []byte {
			return bytes.ReplaceAll(d, []byte("team/app\x00v10"), []byte("team/bpp\x00v10"))
		},
		"both metas wrong": func(d []byte) []byte { d[100-40]++; d[4096+100-40]++; return d },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(path, spoil(bytes.Clone(data)), 0o600))
			_, err := attempt(filepath.Dir(path), "gw1", nil, newWall().now)
			wantError(t, err, boltfile.ErrDamaged)
			if aside, err := os.ReadFile(path + ".damaged"); err != nil || bytes.Equal(aside, data) {
				t.Errorf("it is not aside: %v", err)
			}
			l, err := attempt(filepath.Dir(path), "gw1", nil, newWall().now)
			must(t, err)
			push(t, l, tag("v1"), digest(1), "east")
			must(t, l.Close())
		})
	}
}

// Whatever bytes change, there is an error, or a ledger that works.
func TestFlippedBytes(t *testing.T) {
	path, data := filled(t, 60)
	opened, damaged := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		spoilt := bytes.Clone(data)
		pages := len(data) / 4096
		for range rapid.IntRange(1, 4).Draw(t, "flips") {
			page := rapid.IntRange(0, pages-1).Draw(t, "page")
			at := rapid.OneOf(rapid.IntRange(0, 127), rapid.IntRange(0, 4095)).Draw(t, "at") // headers are what hurts
			spoilt[page*4096+at] = rapid.Byte().Draw(t, "byte")
		}
		must(t, os.WriteFile(path, spoilt, 0o600))
		survive(t, filepath.Dir(path), &opened, &damaged)
	})
	t.Logf("%d opened, %d damaged", opened, damaged)
}

func survive(t failer, dir string, opened, damaged *int) {
	l, err := attempt(dir, "gw1", Named(regions...), newWall().now)
	switch {
	case errors.Is(err, boltfile.ErrDamaged):
		*damaged++
		return
	case errors.Is(err, ErrUnavailable): // of another version
		return
	}
	must(t, err)
	defer func() {
		_ = l.Close()
		_ = l.db.Close()
	}()
	*opened++
	_, _, _ = l.Get(tag("v1"))
	_, _, _ = l.Pending("west", "", maxList)
	_, _ = l.Since(nil, maxList)
	_, _ = l.Events(0, maxList)
	_, _ = l.List("team/app", "", maxList)
	_, _ = l.Repositories("", maxList)
	if _, err := l.Delete(tag(digest(1)), "east", Request{}); err != nil && !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	_, _ = l.Compact(0)
}

// What a disk does not give back of a mapped file is a fault of memory, not an error.
func TestFileCutWhileOpen(t *testing.T) {
	l := start(t, t.TempDir(), "gw1", newWall())
	push(t, l, tag("v1"), digest(1), "east")
	must(t, os.Truncate(l.path, 8192))
	_, _, err := l.Get(tag("v1"))
	wantError(t, err, ErrUnavailable)
	_, err = l.Push(tag("v2"), Content{Digest: digest(2), Size: 1}, "east", Request{})
	wantError(t, err, ErrUnavailable)
	must(t, l.Close())
}
