// Command lab pushes images with real clients while their connections are thrown from one region to the other: to the
// registries themselves, with dnsmasq on the client's host, and with Fairlead in front. docs/lab.md says more.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type options struct {
	filter filter
	wanted wanted
	file   string
	jobs   int
	table  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) == 2 && os.Args[1] == inside {
		err = work(ctx)
	} else {
		err = lab(ctx, parse())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func parse() options {
	var o options
	list := func(name, usage string, into *[]string, known []string) {
		flag.Func(name, usage+", comma-separated; all by default: "+strings.Join(known, ", "), func(s string) error {
			*into = strings.Split(s, ",")
			for _, one := range *into {
				if !slices.Contains(known, one) {
					return fmt.Errorf("there is no %q", one)
				}
			}
			return nil
		})
	}
	list("client", "clients", &o.filter.clients, clientNames())
	list("setup", "set-ups", &o.filter.setups, setups)
	list("mode", "modes", &o.filter.modes, modes)
	list("registry", "registries", &o.filter.registries, registries)
	flag.IntVar(&o.wanted.fairlead, "n", 20, "pushes of each cell with Fairlead")
	flag.IntVar(&o.wanted.baseline, "baseline", 5, "pushes of each cell without Fairlead")
	flag.IntVar(&o.wanted.kill, "kill", 50, "pushes of each client whose replica is killed")
	flag.IntVar(&o.wanted.pull, "pull", 8, "pulls of each client and fault")
	flag.Func("layer", "size of a layer of what is pushed in mode kill, or pulled, as 4MiB", func(s string) (err error) {
		o.wanted.layer, err = parseSize(s)
		return err
	})
	flag.IntVar(&o.jobs, "jobs", 4, "hosts that run at once")
	flag.StringVar(&o.file, "results", filepath.Join("lab", "results.jsonl"), "results file, from the folder test on")
	flag.BoolVar(&o.table, "table", false, "print the tables of what there is, and run nothing")
	flag.Parse()
	return o
}

// parseSize reads KiB and MiB.
func parseSize(s string) (int, error) {
	number, mebi := strings.CutSuffix(s, "MiB")
	number, kibi := strings.CutSuffix(number, "KiB")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 1 || n > 1<<10 || mebi == kibi:
		return 0, fmt.Errorf("%q is not 1 to 1024 KiB or MiB", s)
	case mebi:
		return n << 20, nil
	}
	return n << 10, nil
}

func clientNames() []string {
	var names []string
	for _, c := range clients {
		names = append(names, c.name)
	}
	return names
}

// lab runs what is missing, and prints the tables.
func lab(ctx context.Context, o options) error {
	done, err := readResults(o.file)
	if err != nil {
		return err
	}
	if !o.table {
		errRun := runMissing(ctx, o, done)
		if done, err = readResults(o.file); err != nil {
			return errors.Join(errRun, err)
		}
		err = errRun
	}
	fmt.Println()
	writeTables(os.Stdout, done)
	return err
}

// runMissing runs a few hosts at once, each in namespaces of its own.
func runMissing(ctx context.Context, o options, done []result) error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	sweep()
	tmp, err := os.MkdirTemp("", tmpPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	gateway, err := findFairlead(ctx, root)
	if err != nil {
		return err
	}
	var mu sync.Mutex // of the results file
	save := func(r result) error {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("%s: %v in %v s\n", r.cell, r.Outcomes, r.Seconds)
		return appendResult(o.file, r)
	}
	programs, err := findPrograms(ctx, root, o.filter)
	var names []string
	for _, c := range clients {
		if programs[c.name] != nil {
			names = append(names, c.name)
		}
	}
	queue := hosts(plan(names, o.filter, o.wanted, done))
	return errors.Join(err, inParallel(len(queue), o.jobs, func(i int) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		client := queue[i][0].Cell.Client
		dir := filepath.Join(tmp, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		began := time.Now()
		err := runJob(ctx, job{
			Client: client, Steps: queue[i], Programs: programs[client], Fairlead: gateway, Parallel: 5,
			Dir: dir, Keep: filepath.Join(root, "bin", "lab", "wrong"),
		}, save)
		fmt.Printf("host %d of %d, %s, ended after %v\n", i+1, len(queue), client, time.Since(began).Round(time.Second))
		if err != nil {
			return fmt.Errorf("%s: %w", client, err)
		}
		return nil
	}))
}

const tmpPrefix = "fairlead-lab-"

// sweep removes what labs have left behind that were killed. Of their namespaces nothing is left.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), tmpPrefix+"*")) // the pattern is good
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), tmpPrefix), "-")
		if _, err := strconv.Atoi(pid); err == nil && !exists("/proc/"+pid) {
			_ = os.RemoveAll(dir)
		}
	}
}

// findFairlead is what `make lab` has built from this checkout. Its version is the commit; what else has changed in the
// checkout counts only where it is part of Fairlead.
func findFairlead(ctx context.Context, root string) (program, error) {
	commit, err := output(ctx, nil, "git", "-C", root, "rev-parse", "--short", "HEAD")
	if err != nil {
		return program{}, err
	}
	changed, err := output(ctx, nil, "git", "-C", root, "status", "--porcelain", "--", ".", ":(exclude)test",
		":(exclude)docs")
	if changed != "" {
		commit += "-dirty"
	}
	return program{filepath.Join(root, "bin", "fairlead"), commit}, err
}

// findPrograms of each client. One that lacks any is left out, and is in the error.
func findPrograms(ctx context.Context, root string, f filter) (map[string]map[string]program, error) {
	all := map[string]map[string]program{}
	var missing error
	for _, c := range clients {
		if len(f.clients) > 0 && !slices.Contains(f.clients, c.name) {
			continue
		}
		found := map[string]program{}
		var err error
		for _, name := range append([]string{"registry", "crane", "dnsmasq"}, c.needs...) {
			if found[name], err = sources[name].find(ctx, name, root); err != nil {
				missing = errors.Join(missing, fmt.Errorf("%s is left out: %w", c.name, err))
				break
			}
		}
		if err == nil {
			all[c.name] = found
		}
	}
	if missing != nil {
		fmt.Fprintln(os.Stderr, missing)
	}
	return all, missing
}

// runJob hands each result over as soon as it is there.
func runJob(ctx context.Context, j job, save func(result) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	cmd, err := inNamespaces(ctx, bytes.NewReader(text), os.Stderr)
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for d := json.NewDecoder(out); err == nil; {
		var r result
		if err = d.Decode(&r); err == nil {
			err = save(r)
		}
	}
	if !errors.Is(err, io.EOF) {
		cancel()
		return errors.Join(err, cmd.Wait())
	}
	return cmd.Wait()
}
