package test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs until it is killed, at the latest at the end of its test.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // file with what it printed
	done chan struct{} // closed when it has ended
}

// start runs a program in the background. What it prints is shown if the test fails.
func start(t testing.TB, name string, env []string, program string, args ...string) *process {
	t.Helper()
	return startAt(t, place{}, name, env, program, args...)
}

// startAt runs it on another machine.
func startAt(t testing.TB, at place, name string, env []string, program string, args ...string) *process {
	t.Helper()
	program, args = at.command(program, args...)
	logFile, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer logFile.Close()
	p := &process{name: name, cmd: exec.Command(program, args...), log: logFile.Name(), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	p.cmd.SysProcAttr = ownGroup()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.end(t) })
	return p
}

// ownGroup lets a program and its children be killed together, and be killed when the tests are.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func (p *process) end(t testing.TB) {
	p.kill()
	out := p.output()
	for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(out, bad) {
			t.Errorf("%s printed %q", p.name, bad)
		}
	}
	if t.Failed() {
		t.Logf("--- %s printed:\n%s", p.name, tail(out, 8<<10))
	}
}

func (p *process) output() string {
	out, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

// signal reaches the program and its children. One that has ended already is left alone.
func (p *process) signal(s syscall.Signal) {
	if !p.ended() {
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// kill is SIGKILL, and returns when the program has ended.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// residentKiB is the memory that the kernel counts as the program's own; peakKiB is the most that it ever was.
func (p *process) residentKiB(t testing.TB) int { t.Helper(); return p.statusKiB(t, "VmRSS:") }
func (p *process) peakKiB(t testing.TB) int     { t.Helper(); return p.statusKiB(t, "VmHWM:") }

func (p *process) statusKiB(t testing.TB, field string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(t, err)
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			must(t, err)
			return kib
		}
	}
	t.Fatal("no ", field)
	return 0
}

// commandBound is how long any one command of a client may take before it counts as hung: see patient.
const commandBound = 2 * time.Minute

// command runs a program to its end and returns what it printed; the error has all that it printed.
func command(t testing.TB, env []string, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patient(commandBound))
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(args, " "), err,
			&stdout, &stderr)
	}
	return stdout.String(), nil
}

// ports are taken from below the range that the kernel gives to outgoing connections, so that one that was free a
// moment ago still is.
var ports = func() *atomic.Uint32 {
	var first atomic.Uint32
	first.Store(uint32(os.Getpid()))
	return &first
}()

// freePort is a TCP and UDP port that is free on all the addresses.
func freePort(t testing.TB, ips ...string) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(int(20_000 + ports.Add(1)%10_000))
		if allFree(ips, port) {
			return port
		}
	}
	t.Fatalf("no port is free on %v", ips)
	return ""
}

func allFree(ips []string, port string) bool {
	return !slices.ContainsFunc(ips, func(ip string) bool { return !free(ip, port) })
}

func free(ip, port string) bool {
	address := net.JoinHostPort(ip, port)
	return placeOf(ip).do(func() error {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		l.Close()
		p, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		return p.Close()
	}) == nil
}

// freeAddress is IP:PORT, free on TCP and UDP.
func freeAddress(t testing.TB, ip string) string {
	t.Helper()
	return net.JoinHostPort(ip, freePort(t, ip))
}
