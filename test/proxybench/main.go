// Command proxybench measures what a byte and a request cost in CPU time, in fairlead and in the proxies that people
// run in its place, in front of the same backend. docs/benchmarks.md has its figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

type options struct {
	fairlead []string // paths
	cases    *regexp.Regexp
	rounds   int
	blobMiB  int
	mib      int
	streams  int
	requests int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = o.run(ctx, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{fairlead: []string{"../bin/fairlead"}}
	f := flag.NewFlagSet("proxybench", flag.ExitOnError)
	f.Func("fairlead", "paths of one or more builds of fairlead, comma-separated, from the folder test on",
		func(s string) error { o.fairlead = strings.Split(s, ","); return nil })
	cases := f.String("cases", "", "a regular expression; only cases whose name it matches, as in '^TLS|HEAD'")
	f.IntVar(&o.rounds, "rounds", 5, "how often all is measured")
	f.IntVar(&o.blobMiB, "blob", 64, "size of a blob, MiB")
	f.IntVar(&o.mib, "mib", 512, "MiB that one measurement moves")
	f.IntVar(&o.streams, "streams", 4, "connections that move blobs, at once")
	f.IntVar(&o.requests, "requests", 10_000, "small requests of one measurement")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for name, n := range map[string]int{"rounds": o.rounds, "blob": o.blobMiB, "mib": o.mib, "streams": o.streams,
		"requests": o.requests} {
		if n < 1 {
			return o, fmt.Errorf("-%s: %d is not a positive number", name, n)
		}
	}
	var err error
	o.cases, err = regexp.Compile(*cases)
	return o, err
}

func (o options) run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "proxybench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	own, err := newIdentity(dir)
	if err != nil {
		return err
	}
	c := newContent(o.blobMiB << 20)
	backend, err := startBackend(ctx, c)
	if err != nil {
		return err
	}
	peers, err := o.peers(out)
	if err != nil {
		return err
	}
	b := bench{rounds: o.rounds, out: out, peers: peers,
		load: amounts{content: c, streams: o.streams, blobs: max(o.mib/o.blobMiB, 1), requests: o.requests}}
	for _, one := range allCases() {
		if o.cases.MatchString(one.name) {
			b.cases = append(b.cases, one)
		}
	}
	r, err := b.run(ctx, dir, backend, &own)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d rounds, medians; %d MiB in blobs of %d over %d connections, or %d requests\n\n%s", o.rounds,
		b.load.blobs*o.blobMiB, o.blobMiB, o.streams, o.requests, b.table(r))
	return nil
}

// peers are the builds of fairlead and what else is installed.
func (o options) peers(out io.Writer) ([]peer, error) {
	var all []peer
	for _, program := range o.fairlead {
		name := "fairlead"
		if len(o.fairlead) > 1 {
			name = program
		}
		path, err := filepath.Abs(program)
		if err != nil {
			return nil, err
		}
		all = append(all, fairleadPeer(name, path))
	}
	for _, other := range []struct {
		program string
		peer    func(program string) peer
	}{{"haproxy", haproxyPeer}, {"nginx", nginxPeer}} {
		program, err := installed(other.program)
		if err != nil {
			fmt.Fprintf(out, "SKIPPED: %v: apt-get install %s\n", err, other.program)
			continue
		}
		all = append(all, other.peer(program))
	}
	return all, nil
}

// installed looks where Debian puts servers, too, which is not in everybody's PATH.
func installed(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + program)
}
