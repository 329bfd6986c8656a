package test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// buildDir holds what is built for one run of the tests. Static after TestMain.
var buildDir string

func TestMain(m *testing.M) {
	flag.Parse()
	if !isSet("test.parallel") {
		_ = flag.Set("test.parallel", strconv.Itoa(testsAtOnce(runtime.GOMAXPROCS(0))))
	}
	os.Exit(run(m))
}

// testsAtOnce is how many tests run whole programs at once: half as many again as there are processors, since they
// wait for a third of their time.
func testsAtOnce(processors int) int { return processors * 3 / 2 }

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fairlead-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	plain.Timeout = patient(plain.Timeout)
	if given("test.run") == "" && given("test.list") == "" {
		buildAll()
	}
	return m.Run()
}

func given(name string) string { return flag.Lookup(name).Value.String() }

// buildAll: a compiler beside a test takes the processors from it. What cannot be built fails the tests that want it.
func buildAll() {
	for _, program := range []func() (string, error){fairleadProgram, shippedProgram, craneProgram, olaregProgram,
		regctlProgram, registryProgram} {
		_, _ = program()
	}
}

// fairleadProgram is built once, and only if a test needs it. The race detector needs a C compiler; where there is
// none the tests still run, but not in CI.
var fairleadProgram = sync.OnceValues(func() (string, error) {
	switch cgo, err := goCommand(".", "env", "CGO_ENABLED"); {
	case err != nil:
		return "", err
	case cgo == "1":
		return buildFairlead("fairlead-race", "-race")
	case inCI():
		return "", fmt.Errorf("the race detector needs a C compiler")
	}
	fmt.Fprintln(os.Stderr, "NO RACE DETECTOR: it needs a C compiler, and this machine has none")
	return buildFairlead("fairlead-race")
})

// shippedProgram is fairlead as people run it, for what the race detector would distort.
var shippedProgram = sync.OnceValues(func() (string, error) { return buildFairlead("fairlead") })

func buildFairlead(name string, flags ...string) (string, error) {
	path := filepath.Join(buildDir, name)
	_, err := goCommand("..", append(append([]string{"build", "-o", path}, flags...), "./cmd/fairlead")...)
	return path, err
}

// Programs of other projects. `go tool -n` builds what go.mod pins, keeps it in Go's build cache and names the file.
var (
	craneProgram    = tool("crane")
	h2specProgram   = tool("h2spec")
	olaregProgram   = tool("olareg")
	regctlProgram   = tool("regctl")
	registryProgram = tool("registry") // distribution's
)

func tool(name string) func() (string, error) {
	return sync.OnceValues(func() (string, error) { return goCommand(".", "tool", "-n", name) })
}

func goCommand(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// built is a program's file name, or the end of the test.
func built(t testing.TB, program func() (string, error)) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func inCI() bool { return os.Getenv("CI") != "" }

// installed is the path of a program from Debian. A missing one skips the test, except in CI.
func installed(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case inCI():
		t.Fatalf("%s is not installed: run test/install-clients.sh", name)
	}
	t.Skipf("SKIPPED: %s is not installed; test/install-clients.sh installs it on Debian", name)
	return ""
}
