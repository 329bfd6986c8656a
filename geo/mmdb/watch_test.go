package mmdb

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/fairlead-gateway/fairlead/geo"
)

// folder is a directory with files that are watched.
type folder struct {
	t    *testing.T
	dir  string
	when time.Time // the last time that a file was given
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) do(errs ...error) {
	f.t.Helper()
	if err := errors.Join(errs...); err != nil {
		f.t.Fatal(err)
	}
}

// write changes a file in place. Its time is set, since the clock of a file system may stand still between two writes.
func (f *folder) write(name string, data []byte) {
	f.t.Helper()
	f.when = f.when.Add(time.Second)
	f.do(os.WriteFile(f.path(name), data, 0o600), os.Chtimes(f.path(name), f.when, f.when))
}

// replace puts a new file in the place of one.
func (f *folder) replace(name string, data []byte) {
	f.t.Helper()
	f.write("new", data)
	f.do(os.Rename(f.path("new"), f.path(name)))
}

// mount makes what Kubernetes makes of a ConfigMap: ..data is a symlink to a directory, and is replaced at once.
func (f *folder) mount(version string, data []byte) {
	f.t.Helper()
	f.do(os.Mkdir(f.path(version), 0o700))
	f.write(filepath.Join(version, "db"), data)
	f.do(os.Symlink(version, f.path("..new")), os.Rename(f.path("..new"), f.path("..data")))
}

func TestWatched(t *testing.T) {
	inGB, inNL, inJP := database(t, london), database(t, utrecht), database(t, tokyo)
	spoilt := bytes.Replace(inNL, []byte("\x47Utrecht"), []byte("\x5f\xff\xff\xff\xff\xff\xff\xff"), 1)
	const every = 10 * time.Second
	type step struct {
		do    func(f *folder)
		looks int
		want  string // what was called, in its order
	}
	nothing := func(*folder) {}
	for _, tt := range []struct {
		name  string
		first func(f *folder)
		steps []step
	}{
		{"nothing changes", func(f *folder) { f.write("db", inGB) }, []step{{nothing, 10, ""}}},
		{"by a rename", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) { f.replace("db", inNL) }, 1, ""},
			{nothing, 1, "NL"},
			{nothing, 10, ""},
			{func(f *folder) { f.replace("db", inJP) }, 10, "JP"},
		}},
		{"by a rename, to a file of the same time and length", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) {
				f.when = f.when.Add(-time.Second)
				f.replace("db", bytes.ReplaceAll(inGB, []byte("GB"), []byte("IE")))
			}, 10, "IE"},
		}},
		{"in place, to a file of the same length", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) { f.write("db", bytes.ReplaceAll(inGB, []byte("GB"), []byte("IE"))) }, 10, "IE"},
		}},
		{"in place, to a file of the same time", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) { f.when = f.when.Add(-time.Second); f.write("db", inNL) }, 10, "NL"},
		}},
		{"in place, written for long", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) { f.write("db", inNL[:100]) }, 1, ""},
			{func(f *folder) { f.write("db", inNL[:200]) }, 1, ""},
			{func(f *folder) { f.write("db", inNL[:300]) }, 1, ""},
			{func(f *folder) { f.write("db", inNL) }, 1, ""},
			{nothing, 1, "NL"},
			{nothing, 10, ""},
		}},
		{"behind a symlink", func(f *folder) { f.mount("..1", inGB); f.do(os.Symlink("..data/db", f.path("db"))) },
			[]step{
				{func(f *folder) { f.mount("..2", inNL); f.do(os.RemoveAll(f.path("..1"))) }, 10, "NL"},
				{func(f *folder) { f.mount("..3", spoilt); f.do(os.RemoveAll(f.path("..2"))) }, 10, "failed"},
				{func(f *folder) { f.mount("..4", inJP) }, 10, "JP"},
			}},
		{"to a file cut short, and mended", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) { f.write("db", inNL[:len(inNL)/2]) }, 10, "failed"},
			{func(f *folder) { f.write("db", inNL) }, 10, "NL"},
		}},
		{"to different damage", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) { f.replace("db", noise(1, 1000)) }, 10, "failed"},
			{func(f *folder) { f.replace("db", nil) }, 10, "failed"},
			{func(f *folder) { f.replace("db", spoilt) }, 10, "failed"},
			{func(f *folder) { f.replace("db", inGB) }, 10, "GB"},
		}},
		{"away and back", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) { f.do(os.Remove(f.path("db"))) }, 10, "failed"},
			{func(f *folder) { f.do(os.Mkdir(f.path("db"), 0o700)) }, 10, "failed"},
			{func(f *folder) { f.do(os.Remove(f.path("db"))); f.write("db", inNL) }, 10, "NL"},
		}},
		{"away and back between two looks", func(f *folder) { f.write("db", inGB) }, []step{
			{func(f *folder) { f.do(os.Rename(f.path("db"), f.path("kept"))) }, 1, ""},
			{func(f *folder) { f.do(os.Rename(f.path("kept"), f.path("db"))) }, 10, ""},
		}},
		{"not there at first", func(f *folder) {}, []step{
			{nothing, 10, ""},
			{func(f *folder) { f.write("db", inGB) }, 10, "GB"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &folder{t: t, dir: t.TempDir(), when: time.Unix(built, 0)}
			synctest.Test(t, func(t *testing.T) {
				tt.first(f)
				w := NewWatched(0, f.path("db"))
				w.Load()
				called := make(chan string, 100)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					w.Run(ctx, every, func(table *geo.Table, report geo.Report) {
						called <- table.Locate(addr("192.0.2.1")).Country
						if report.Networks != 1 {
							t.Errorf("%s", report)
						}
					}, func(err error) {
						called <- "failed"
						if !strings.Contains(err.Error(), f.path("db")) {
							t.Errorf("%v does not name the file", err)
						}
					})
				}()
				time.Sleep(every / 2) // between two looks
				for i, s := range tt.steps {
					s.do(f)
					time.Sleep(time.Duration(s.looks) * every)
					synctest.Wait()
					var got []string
					for len(called) > 0 {
						got = append(got, <-called)
					}
					if strings.Join(got, " ") != s.want {
						t.Errorf("step %d: %q, want %q", i, got, s.want)
					}
				}
				cancel()
				<-ended
			})
		})
	}
}

func TestWatchedWithoutLoad(t *testing.T) {
	path := write(t, database(t, london))[0]
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		go NewWatched(0, path).Run(ctx, time.Second, func(*geo.Table, geo.Report) { calls++ },
			func(err error) { t.Error(err) })
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		if calls != 1 {
			t.Errorf("called %d times, want once", calls)
		}
	})
}

// TestWatchedCannotBeRead: a file that cannot be read for now is told of once, and tried until it can.
func TestWatchedCannotBeRead(t *testing.T) {
	path := write(t, database(t, london))[0]
	synctest.Test(t, func(t *testing.T) {
		w, tries := NewWatched(0, path), 0
		really := w.load
		w.load = func() (*geo.Table, geo.Report, error) {
			if tries++; tries <= 3 {
				return nil, geo.Report{}, &fs.PathError{Op: "open", Path: path, Err: syscall.EMFILE}
			}
			return really()
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls := ""
		go w.Run(ctx, time.Second, func(*geo.Table, geo.Report) { calls += "changed " },
			func(error) { calls += "failed " })
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		if calls != "failed changed " || tries != 4 {
			t.Errorf("%q after %d tries", calls, tries)
		}
	})
}

// One of two files is enough, and both are read again.
func TestWatchedFilesAreLoadedTogether(t *testing.T) {
	v6 := func(record string) []byte {
		return build(t, mmdbwriter.Options{}, []entry{{"2001:db8::/32", in(record)}})
	}
	paths := write(t, database(t, london), v6("NL"))
	synctest.Test(t, func(t *testing.T) {
		w := NewWatched(0, paths...)
		if _, _, err := w.Load(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var countries []string
		go w.Run(ctx, time.Second, func(table *geo.Table, _ geo.Report) {
			for _, a := range []string{"192.0.2.1", "2001:db8::1"} {
				countries = append(countries, table.Locate(addr(a)).Country)
			}
		}, func(err error) { t.Error(err) })
		if err := os.WriteFile(paths[1]+".new", v6("FR"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(paths[1]+".new", paths[1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		if !slices.Equal(countries, []string{"GB", "FR"}) {
			t.Errorf("%q, want GB of the file that stayed, and FR of the new one", countries)
		}
	})
}

// database has one network, 192.0.2.0/24.
func database(t *testing.T, record mmdbtype.Map) []byte {
	return build(t, mmdbwriter.Options{DisableIPv4Aliasing: true}, []entry{{"192.0.2.0/24", record}})
}
