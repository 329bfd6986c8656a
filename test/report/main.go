// Command report runs the tests of both modules with the race detector and says how many ran. A skip
// is shown with its reason; with CI set it is a failure, because there everything is installed. With -short, as with
// all that is given to it, go test leaves the long tests out: they are counted, and are no skips.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// key tells tests apart; Test is "" for what a package prints by itself.
type key struct{ pkg, test string }

// tally counts tests, subtests included.
type tally struct {
	passed, failed, skipped int
	long                    int              // left out, because of -short
	took                    []event          // tests that have ended, without their cases
	output                  map[key][]string // of what has not ended yet
	out                     io.Writer
}

// modules, and what is special about the tests of each.
var modules = []struct {
	dir   string
	flags []string
}{
	{"..", []string{ // at once: unit tests wait as well
		"-p=" + strconv.Itoa(runtime.GOMAXPROCS(0)*3/2), "-parallel=" + strconv.Itoa(runtime.GOMAXPROCS(0)*2),
	}},
	{".", []string{"-count=1"}}, // go test does not know which programs they build and run
}

func main() {
	began, t := time.Now(), &tally{output: map[key][]string{}, out: os.Stdout}
	// Bounded by go test's own -timeout, for each of the two modules.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	race, err := raceFlags(ctx)
	broken := err != nil
	if broken {
		fmt.Fprintln(os.Stderr, err)
	}
	for _, m := range modules {
		args := slices.Concat([]string{"test", "-json", "-timeout", "1h"}, race, m.flags, []string{"./..."},
			os.Args[1:])
		if err := t.run(exec.CommandContext(ctx, "go", args...), m.dir); err != nil {
			broken = true
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if t.skipped > 0 && os.Getenv("CI") != "" {
		fmt.Println("With CI set a skipped test is a failure.")
		broken = true
	}
	if t.long > 0 {
		fmt.Printf("%d LONG TESTS WERE LEFT OUT: make check runs them\n", t.long)
	}
	t.showSlowest()
	fmt.Printf("The tests took %v.\n", time.Since(began).Round(time.Second))
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if broken || t.failed > 0 {
		stop()
		os.Exit(1)
	}
}

// raceFlags: the race detector needs a C compiler. Where there is none the tests still run, but not in CI.
func raceFlags(ctx context.Context) ([]string, error) {
	cgo, err := exec.CommandContext(ctx, "go", "env", "CGO_ENABLED").Output()
	switch {
	case err != nil:
		return nil, err
	case strings.TrimSpace(string(cgo)) == "1":
		return []string{"-race"}, nil
	case os.Getenv("CI") != "":
		return nil, errors.New("the race detector needs a C compiler, and there is none")
	}
	fmt.Println("NO RACE DETECTOR: it needs a C compiler, and this machine has none")
	return nil, nil
}

func (t *tally) run(cmd *exec.Cmd, dir string) error {
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	t.read(stdout)
	return cmd.Wait()
}

func (t *tally) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil {
			t.count(e)
		} else if len(line) > 0 {
			_, _ = t.out.Write(line) // what the go command says before it can speak JSON
		}
		if err != nil {
			return
		}
	}
}

func (t *tally) count(e event) {
	k := key{e.Package, e.Test}
	switch e.Action {
	case "output":
		t.output[k] = append(t.output[k], e.Output)
		return
	case "build-output":
		fmt.Fprint(t.out, e.Output)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	output := t.output[k]
	delete(t.output, k)
	if e.Action == "skip" && slices.ContainsFunc(output, isLong) {
		t.long++
		return
	}
	t.show(e, output)
	if e.Test == "" {
		return
	}
	if !strings.Contains(e.Test, "/") {
		t.took = append(t.took, e)
	}
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
	case "skip":
		t.skipped++
	}
}

// shown is how many of the slowest tests are named.
const shown = 12

// showSlowest: a test that has become slow is seen before all of them together are.
func (t *tally) showSlowest() {
	slices.SortFunc(t.took, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	fmt.Fprintln(t.out, "The slowest:")
	for _, e := range t.took[:min(shown, len(t.took))] {
		fmt.Fprintf(t.out, "     %6.1f s %s\n", e.Elapsed, e.Test)
	}
}

// isLong: so a test says that it is left out because it is long, "file.go:1: LONG: why".
func isLong(output string) bool { return strings.Contains(output, ": LONG: ") }

// show prints what a person wants to see: failures and skips whole, a line for each package, and of
// whole-program tests the figures that they log.
func (t *tally) show(e event, output []string) {
	switch {
	case e.Action == "fail":
		fmt.Fprint(t.out, strings.Join(output, ""))
	case e.Action == "skip" && e.Test != "":
		fmt.Fprintf(t.out, "SKIPPED %s %s\n%s", e.Package, e.Test, strings.Join(output, ""))
	case e.Test == "" && e.Action == "pass":
		fmt.Fprintf(t.out, "ok   %-60s %6.1f s\n", e.Package, e.Elapsed)
	case e.Action == "pass":
		for _, line := range output {
			if _, figure, ok := strings.Cut(line, "figure: "); ok {
				fmt.Fprintf(t.out, "     %s: %s", e.Test, figure)
			}
		}
	}
}
