package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// process is a program that runs in the background until it is killed.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  string        // file with what it prints
}

func startProcess(log string, program string, args ...string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &process{cmd: exec.CommandContext(context.Background(), program, args...), done: make(chan struct{}), log: log}
	p.cmd.Env = environment()
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// kill is SIGKILL to the program and its children, and returns when the program has ended.
func (p *process) kill() {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// stop is SIGSTOP: its connections stay open, and nothing comes.
func (p *process) stop() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGSTOP) }

// until waits for it to be ready.
func (p *process) until(ctx context.Context, ready func() error) error {
	err := waitFor(ctx, func() error {
		select {
		case <-p.done:
			return errEnded
		default:
			return ready()
		}
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w\n%s", filepath.Base(p.cmd.Path), err, contentOf(p.log))
	}
	return nil
}

var errEnded = errors.New("it has ended")

// waitFor asks until there is no error, for as long as a program may take to start on a busy machine.
func waitFor(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func contentOf(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// environment has no credentials, no proxies and no settings of the user's.
func environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + home, "DOCKER_CONFIG=" + home, "XDG_RUNTIME_DIR=" + home, "TMPDIR=" + home,
		"OTEL_TRACES_EXPORTER=none",
	}
}

var errHung = errors.New("hung")

// run runs a client's command to its end, or to commandBound. The error has what it printed.
func run(ctx context.Context, program string, args ...string) error {
	limited, cancel := context.WithTimeout(ctx, commandBound)
	defer cancel()
	cmd := exec.CommandContext(limited, program, args...)
	cmd.Env = environment()
	cmd.Dir = home
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case limited.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("%w after %v: %s", errHung, commandBound, out.String())
	}
	return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out.String())
}

// unique is what differs from push to push in what clients say: digests, uploads, the state of those, repositories,
// times.
var unique = regexp.MustCompile(`(_state=)?[0-9A-Za-z_%-]{30,}(%3D)*|[0-9]{12,}|\bc[0-9]+-p[0-9]+\b|time="[^"]*" `)

// lastLine is where clients say why.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	last := unique.ReplaceAllString(lines[len(lines)-1], "…")
	return last[:min(len(last), 300)]
}
