package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// confinement is what a program may have; 0: as much as there is.
type confinement struct {
	memory    int64 // bytes, beyond which the kernel kills it
	processor int   // percent of one
	files     int   // descriptors
}

// cgroups makes every group's name another one.
var cgroups atomic.Int32

// confined is how a program is started that may have no more. The kernel holds it to that where control groups can be
// made, of version 1 or 2. Where they cannot, the test says so: then only the collector is told of the memory, of nine
// tenths, which is what a program makes of its group.
func confined(t testing.TB, program string, may confinement) (command []string) {
	t.Helper()
	name := fmt.Sprintf("fairlead-test-%d-%d", os.Getpid(), cgroups.Add(1))
	var groups []string
	join := func(what, dir, file, value string) bool {
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			t.Cleanup(func() { _ = os.Remove(dir) }) // as soon as the program has ended
		}
		if err == nil || os.IsExist(err) {
			err = setLimit(filepath.Join(dir, file), value)
		}
		if err != nil {
			return false
		}
		t.Logf("figure: the kernel holds it to %s by %s", what, filepath.Join(dir, file))
		groups = append(groups, filepath.Join(dir, "cgroup.procs"))
		return true
	}
	command = []string{program}
	if may.memory > 0 {
		what, value := fmt.Sprintf("%d MiB", may.memory>>20), fmt.Sprint(may.memory)
		if !join(what, "/sys/fs/cgroup/memory/"+name, "memory.limit_in_bytes", value) &&
			!join(what, "/sys/fs/cgroup/"+name, "memory.max", value) {
			t.Log("figure: no memory cgroup can be made here: only the collector is told of the limit")
			command = []string{"env", fmt.Sprintf("GOMEMLIMIT=%d", may.memory/10*9), program}
		}
	}
	if may.processor > 0 {
		what, quota := fmt.Sprintf("%d %% of a processor", may.processor), may.processor*1000 // µs of 100 ms
		if !join(what, "/sys/fs/cgroup/cpu/"+name, "cpu.cfs_quota_us", fmt.Sprint(quota)) &&
			!join(what, "/sys/fs/cgroup/"+name, "cpu.max", fmt.Sprint(quota, " 100000")) {
			t.Log("figure: no processor cgroup can be made here: it has all of the machine")
		}
	}
	var script strings.Builder
	for _, group := range groups {
		fmt.Fprintf(&script, "echo $$ >%s && ", group)
	}
	if may.files > 0 {
		fmt.Fprintf(&script, "ulimit -n %d && ", may.files)
	}
	return append([]string{"sh", "-c", script.String() + `exec "$@"`, "sh"}, command...)
}

// setLimit writes a file that the kernel makes.
func setLimit(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(f, value)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
