package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
)

// client is a real registry client. All of them push in clear text.
type client struct {
	name  string
	needs []string                                         // programs; the first is the one whose version counts
	start func(ctx context.Context, h host) error          // a daemon, if it has one; it is kept for all cells
	load  func(ctx context.Context, h host, i image) error // takes an image in, before anything is measured
	push  func(h host, i image) []string                   // the command line
}

// host is where a client runs: a namespace of its own, and a folder for everything that it keeps.
type host struct {
	dir      string
	programs map[string]program
}

func (h host) file(name string) string { return filepath.Join(h.dir, name) }

func (h host) command(name string, args ...string) []string {
	return append([]string{h.programs[name].Path}, args...)
}

func (h host) run(ctx context.Context, name string, args ...string) error {
	return run(ctx, prepareBound, h.programs[name].Path, args...)
}

// daemon starts a program that listens on a Unix socket.
func (h host) daemon(ctx context.Context, name, socket string, args ...string) error {
	p, err := startProcess(h.file(name+".log"), h.programs[name].Path, args...)
	if err != nil {
		return err
	}
	return p.until(ctx, func() error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// clients in the order in which they are run: docker takes longest, because it tries again and again.
var clients = []client{
	{
		name: "docker", needs: []string{"dockerd", "docker"},
		start: func(ctx context.Context, h host) error {
			return h.daemon(ctx, "dockerd", h.file("docker.sock"), "--host", "unix://"+h.file("docker.sock"),
				"--data-root", h.file("docker"), "--exec-root", h.file("docker-run"), "--pidfile", h.file("docker.pid"),
				"--storage-driver", "vfs", "--bridge", "none", "--iptables=false", "--insecure-registry", authority)
		},
		load: func(ctx context.Context, h host, i image) error {
			return h.run(ctx, "docker", "--host", "unix://"+h.file("docker.sock"), "load", "--quiet", "--input",
				i.archive)
		},
		push: func(h host, i image) []string {
			return h.command("docker", "--host", "unix://"+h.file("docker.sock"), "push", "--quiet", i.ref())
		},
	},
	{
		name: "crane", needs: []string{"crane"},
		push: func(h host, i image) []string { return h.command("crane", "--insecure", "push", i.dir, i.ref()) },
	},
	{
		name: "regctl", needs: []string{"regctl"},
		push: func(h host, i image) []string {
			return h.command("regctl", "image", "copy", "--host", "reg="+authority+",tls=disabled",
				"ocidir://"+i.dir+":"+imageTag, i.ref())
		},
	},
	{
		name: "skopeo", needs: []string{"skopeo"},
		push: func(h host, i image) []string {
			return h.command("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false",
				"oci:"+i.dir+":"+imageTag, "docker://"+i.ref())
		},
	},
	{
		name: "podman", needs: []string{"podman"}, start: trustAll,
		load: func(ctx context.Context, h host, i image) error {
			return h.run(ctx, "podman", storage(h, "load", "--quiet", "--signature-policy", h.file("policy.json"),
				"--input", i.archive)...)
		},
		push: func(h host, i image) []string {
			return h.command("podman", storage(h, "push", "--quiet", "--signature-policy", h.file("policy.json"),
				"--tls-verify=false", i.ref())...)
		},
	},
	{
		name: "buildah", needs: []string{"buildah"}, start: trustAll,
		load: func(ctx context.Context, h host, i image) error {
			return h.run(ctx, "buildah", storage(h, "pull", "--quiet", "--signature-policy", h.file("policy.json"),
				"docker-archive:"+i.archive)...)
		},
		push: func(h host, i image) []string {
			return h.command("buildah", storage(h, "push", "--quiet", "--signature-policy", h.file("policy.json"),
				"--tls-verify=false", i.ref(), "docker://"+i.ref())...)
		},
	},
	containerd("containerd-1", "containerd", "ctr"),
	containerd("containerd-2", "containerd2", "ctr2"),
	{
		name: "helm", needs: []string{"helm"},
		load: func(_ context.Context, _ host, i image) error { return packChart(i) },
		push: func(h host, i image) []string {
			return h.command("helm", "push", chart(i), "oci://"+authority+"/"+path.Dir(i.repository), "--plain-http")
		},
	},
}

// storage keeps images in the host's own folder.
func storage(h host, args ...string) []string {
	return append([]string{"--root", h.file("storage"), "--runroot", h.file("storage-run"), "--storage-driver", "vfs"},
		args...)
}

func trustAll(_ context.Context, h host) error {
	return os.WriteFile(h.file("policy.json"), []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o600)
}

func containerd(name, daemon, ctr string) client {
	address := func(h host) string { return h.file("containerd.sock") }
	return client{
		name: name, needs: []string{daemon, ctr},
		start: func(ctx context.Context, h host) error {
			config := h.file("containerd.toml")
			content := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
				h.file("containerd"), h.file("containerd-run"), address(h))
			if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
				return err
			}
			return h.daemon(ctx, daemon, address(h), "--config", config)
		},
		load: func(ctx context.Context, h host, i image) error {
			return h.run(ctx, ctr, "--address", address(h), "images", "import", "--no-unpack", i.archive)
		},
		push: func(h host, i image) []string {
			return h.command(ctr, "--address", address(h), "images", "push", "--plain-http", i.ref())
		},
	}
}

func chart(i image) string { return filepath.Join(filepath.Dir(i.archive), "chart.tgz") }

// packChart makes a chart of what an image is made of. Helm pushes it as one layer.
func packChart(i image) error {
	f, err := os.Create(chart(i))
	if err != nil {
		return err
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	name := path.Base(i.repository)
	put := func(file string, content []byte) {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Name: name + "/" + file, Mode: 0o644,
			Size: int64(len(content))}))
		_, errWrite := w.Write(content)
		err = errors.Join(err, errWrite)
	}
	put("Chart.yaml", fmt.Appendf(nil, "apiVersion: v2\nname: %s\nversion: %s\n", name, imageTag))
	for n, content := range i.files {
		put(fmt.Sprintf("files/%d", n), content)
	}
	return errors.Join(err, w.Close(), z.Close(), f.Close())
}
