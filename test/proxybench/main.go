// Command proxybench measures what a byte and a request cost in CPU time, in fairlead and in the proxies that people
// run in its place, in front of the same backend. docs/benchmarks.md has its figures.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

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
	switch {
	case o.memory:
		return o.measureMemory(ctx, dir, own, out)
	case o.dns:
		return o.measureDNS(ctx, dir, own, out)
	default:
		return o.measureCases(ctx, dir, own, out)
	}
}

func (o options) measureCases(ctx context.Context, dir string, own identity, out io.Writer) error {
	b := bench{rounds: o.rounds, out: out, profiles: o.profiles, load: o.amounts(newContent(o.blobMiB << 20))}
	for _, one := range allCases() {
		if o.cases.MatchString(one.name) {
			b.cases = append(b.cases, one)
		}
	}
	if len(b.cases) == 0 {
		return fmt.Errorf("no case matches %q", o.cases)
	}
	backend, err := o.startBackend(ctx, dir, b.load.content)
	if err != nil {
		return err
	}
	if b.peers, err = o.peers(ctx, dir, out); err != nil {
		return err
	}
	r, err := b.run(ctx, dir, backend, &own)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d rounds, medians; %d MiB in blobs of %d over %d connections, or %d requests; backend: %s; "+
		"TLS 1.3: %s, ECDSA P-256\n\n%s", o.rounds, b.load.blobs*o.blobMiB, o.blobMiB, o.streams, o.requests, o.backend,
		tls.CipherSuiteName(cipherSuite), b.table(r))
	return nil
}

func (o options) amounts(c content) amounts {
	return amounts{content: c, streams: o.streams, blobs: max(o.mib/o.blobMiB, 1), requests: o.requests}
}

func (o options) startBackend(ctx context.Context, dir string, c content) (address string, err error) {
	if o.backend == "distribution" {
		return startDistribution(ctx, dir, c)
	}
	b, err := startBackend(ctx, c)
	if err != nil {
		return "", err
	}
	return b.address, nil
}

func (o options) measureMemory(ctx context.Context, dir string, own identity, out io.Writer) error {
	b, err := startBackend(ctx, newContent(1))
	if err != nil {
		return err
	}
	f, err := o.startGateway(ctx, "fairlead", dir, b.address, own)
	if err != nil {
		return err
	}
	return pacedUploads{o.uploads, o.uploadMiB << 20, o.time}.memory(ctx, f, b, out)
}

func (o options) measureDNS(ctx context.Context, dir string, own identity, out io.Writer) error {
	c := newContent(o.blobMiB << 20)
	b, err := startBackend(ctx, c)
	if err != nil {
		return err
	}
	f, err := o.startGateway(ctx, "fairlead", dir, b.address, own)
	if err != nil {
		return err
	}
	idle, err := o.startGateway(ctx, "idle", dir, b.address, own)
	if err != nil {
		return err
	}
	return queries{o.rate, o.time}.beside(ctx, f, idle, load{content: c, at: o.streams}, out)
}

// startGateway is for what is measured of fairlead alone: of the first build.
func (o options) startGateway(ctx context.Context, name, dir, backend string, own identity) (*front, error) {
	program, err := filepath.Abs(o.fairlead[0])
	if err != nil {
		return nil, err
	}
	secure := &own
	if !o.secure {
		secure = nil
	}
	return fairleadPeer(name, program, "").start(ctx, dir, backend, secure)
}

// peers are the builds of fairlead and what else is installed.
func (o options) peers(ctx context.Context, dir string, out io.Writer) ([]peer, error) {
	var all []peer
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return nil, err
		}
		program, err := buildProfiled(ctx, o.source, dir)
		if err != nil {
			return nil, err
		}
		o.fairlead = []string{program}
	}
	for _, program := range o.fairlead {
		name := "fairlead"
		if len(o.fairlead) > 1 {
			name = program
		}
		path, err := filepath.Abs(program)
		if err != nil {
			return nil, err
		}
		all = append(all, fairleadPeer(name, path, ""))
		if o.limits != "" {
			all = append(all, fairleadPeer(name+" {"+o.limits+"}", path, o.limits))
		}
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
