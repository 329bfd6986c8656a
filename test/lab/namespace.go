package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// inNamespaces is this program once more, as the first process of namespaces of its own: nothing of the network
// outside can be reached, /etc/resolv.conf can be its own, and the kernel ends all that it started when it ends, which
// it does at the latest when this program does. The namespaces go with their last process.
func inNamespaces(ctx context.Context, stdin io.Reader, stderr io.Writer) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, inside)
	cmd.Stdin, cmd.Stderr = stdin, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Setpgid:    true,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd, nil
}

// inside is the argument that tells it.
const inside = "inside-namespaces"

// home is where a host finds its folder: podman takes no long names, and the kernel no long names of sockets.
const home = "/mnt"

// settle makes the new namespaces a host: with its folder, processes, loopback, and its own way of finding names.
func settle(ctx context.Context, dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := syscall.Mount(dir, home, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", home, err)
	}
	ip, _, _ := strings.Cut(resolver, ":")
	for name, content := range map[string]string{
		"resolv.conf":   "nameserver " + ip + "\noptions timeout:2 attempts:3\n",
		"nsswitch.conf": "hosts: files dns\n",
		"hosts":         "127.0.0.1 localhost\n",
	} {
		file := filepath.Join(home, name)
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
		if err := syscall.Mount(file, "/etc/"+name, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount /etc/%s: %w", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte("{}"), 0o600); err != nil { // no credentials
		return err
	}
	_, err := output(ctx, nil, "ip", "link", "set", "lo", "up")
	return err
}
