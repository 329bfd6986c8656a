package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// program is a process that is measured from outside. It ends with its context.
type program struct {
	name string
	pid  int
	log  string // file with what it printed
	done chan struct{}
}

// begin starts a program in a folder of its own, where its log is, too.
func begin(ctx context.Context, dir, name string, env []string, command ...string) (*program, error) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &program{name: name, pid: cmd.Process.Pid, log: log.Name(), done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// startBound is how long a program may take until it answers.
const startBound = 30 * time.Second

// waitFor returns when the program accepts connections there.
func (p *program) waitFor(ctx context.Context, address string) error {
	ctx, stop := context.WithTimeout(ctx, startBound)
	defer stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once:\n%s", p.name, p.output())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w\n%s", p.name, err, p.output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *program) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// cpu is the time that the program and its children have spent on a processor, in user mode and in the kernel.
func (p *program) cpu() (time.Duration, error) {
	select {
	case <-p.done:
		return 0, fmt.Errorf("%s has ended:\n%s", p.name, p.output())
	default:
	}
	return cpuOf(p.pid)
}

// cpuFor is what it has spent while something was done.
func (p *program) cpuFor(something func() error) (time.Duration, error) {
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	if err := something(); err != nil {
		return 0, err
	}
	after, err := p.cpu()
	return after - before, err
}

func cpuOf(pid int) (time.Duration, error) {
	// The clock of another process, as clock_getcpuclockid(3) makes it: the sum of utime and stime of proc(5), of all
	// threads, those that have ended too, in nanoseconds and not in steps of 10 ms.
	const schedulersClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulersClock), &ts); err != nil {
		return 0, fmt.Errorf("the CPU time of process %d: %w", pid, err)
	}
	children, err := childrenOf(pid)
	if err != nil {
		return 0, err
	}
	sum := time.Duration(ts.Nano())
	for _, child := range children {
		of, err := cpuOf(child)
		if err != nil {
			return 0, err
		}
		sum += of
	}
	return sum, nil
}

func childrenOf(pid int) ([]int, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	var children []int
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if os.IsNotExist(err) {
			continue // a thread that has just ended
		}
		if err != nil {
			return nil, err
		}
		for _, field := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			children = append(children, child)
		}
	}
	return children, nil
}

// memoryKiB is a figure of proc_pid_status(5), such as VmHWM, the most that was ever resident.
func (p *program) memoryKiB(field string) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return 0, fmt.Errorf("process %d has no %s", p.pid, field)
}

// freeAddress is IP:PORT, free on TCP and UDP a moment ago.
func freeAddress(ctx context.Context, ip string) (string, error) {
	for range 100 {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ip+":0")
		if err != nil {
			return "", err
		}
		address := l.Addr().String()
		l.Close()
		p, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", address)
		if err == nil {
			return address, p.Close()
		}
	}
	return "", fmt.Errorf("no port of %s is free on TCP and UDP", ip)
}
