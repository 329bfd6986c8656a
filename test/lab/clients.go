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
	"slices"
)

// client is a real registry client. All of them push in clear text.
type client struct {
	name  string
	needs []string                                         // programs; the first is the one whose version counts
	start func(ctx context.Context, h host) error          // a daemon, if it has one; it is kept for all cells
	load  func(ctx context.Context, h host, i image) error // takes an image in, before anything is measured
	push  func(h host, i image) []string                   // the command line
	pull  func(h host, i image) []string                   // the same; nil if that is not measured
	drop  func(ctx context.Context, h host, i image) error // what was pulled; nil if that is a folder of its own
}

// pulled is the folder for what clients pull that have no place of their own for images.
func (h host) pulled() string { return h.file("pulled") }

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
	return run(ctx, h.programs[name].Path, args...)
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
	docker("docker", "dockerd", func(_ context.Context, _ host) ([]string, error) {
		return []string{"--storage-driver", "vfs"}, nil
	}),
	docker("docker29", "dockerd29", besideContainerd, "containerd2"),
	docker("docker29-vfs", "dockerd29", func(ctx context.Context, h host) ([]string, error) {
		args, err := besideContainerd(ctx, h)
		return append(args, "--storage-driver", "vfs"), err
	}, "containerd2"),
	{
		name: "crane", needs: []string{"crane"},
		push: func(h host, i image) []string { return h.command("crane", "--insecure", "push", i.dir, i.ref()) },
		pull: func(h host, i image) []string {
			return h.command("crane", "--insecure", "pull", "--format", "oci", i.ref(), h.pulled())
		},
	},
	{
		name: "regctl", needs: []string{"regctl"},
		push: func(h host, i image) []string { return regctlCopy(h, layout(i.dir), i.ref()) },
		pull: func(h host, i image) []string { return regctlCopy(h, i.ref(), layout(h.pulled())) },
	},
	{
		name: "oras", needs: []string{"oras"},
		push: func(h host, i image) []string {
			return h.command("oras", "copy", "--no-tty", "--from-oci-layout", i.dir+":"+imageTag, "--to-plain-http",
				i.ref())
		},
		pull: func(h host, i image) []string {
			return h.command("oras", "copy", "--no-tty", "--from-plain-http", i.ref(), "--to-oci-layout",
				h.pulled()+":"+imageTag)
		},
	},
	{
		name: "skopeo", needs: []string{"skopeo"},
		push: func(h host, i image) []string {
			return h.command("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false",
				"oci:"+i.dir+":"+imageTag, "docker://"+i.ref())
		},
		pull: func(h host, i image) []string {
			return h.command("skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false",
				"docker://"+i.ref(), "oci:"+h.pulled()+":"+imageTag)
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
		pull: func(h host, i image) []string {
			return h.command("podman", storage(h, "pull", "--quiet", "--signature-policy", h.file("policy.json"),
				"--tls-verify=false", i.ref())...)
		},
		drop: func(ctx context.Context, h host, _ image) error {
			return h.run(ctx, "podman", storage(h, "rmi", "--all", "--force")...)
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
	containerd("containerd-2", "containerd2", "ctr2", "--local"), // its daemon unpacks for no snapshotter but its own
	{
		name: "buildkit", needs: []string{"buildkitd", "buildctl"}, start: startBuildkit,
		load: func(ctx context.Context, h host, i image) error {
			if err := writeDockerfile(i); err != nil {
				return err
			}
			return h.run(ctx, "buildctl", buildArgs(h, i, "type=image,name="+i.ref())...)
		},
		push: func(h host, i image) []string {
			return h.command("buildctl", buildArgs(h, i, "type=image,push=true,registry.insecure=true,name="+
				i.ref())...)
		},
	},
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

func layout(dir string) string { return "ocidir://" + dir + ":" + imageTag }

func regctlCopy(h host, from, to string) []string {
	return h.command("regctl", "image", "copy", "--host", "reg="+authority+",tls=disabled", from, to)
}

// docker is a daemon of its own; more starts what it needs besides, and says how the daemon is told of it.
func docker(name, daemon string, more func(context.Context, host) ([]string, error), needs ...string) client {
	cli := func(h host, args ...string) []string {
		return append([]string{"--host", "unix://" + h.file("docker.sock")}, args...)
	}
	return client{
		name: name, needs: append([]string{daemon, "docker"}, needs...),
		start: func(ctx context.Context, h host) error {
			args, err := more(ctx, h)
			if err != nil {
				return err
			}
			return h.daemon(ctx, daemon, h.file("docker.sock"), append(args, "--host", "unix://"+h.file("docker.sock"),
				"--data-root", h.file("docker"), "--exec-root", h.file("docker-run"), "--pidfile", h.file("docker.pid"),
				"--bridge", "none", "--iptables=false", "--insecure-registry", authority)...)
		},
		load: func(ctx context.Context, h host, i image) error {
			return h.run(ctx, "docker", cli(h, "load", "--quiet", "--input", i.archive)...)
		},
		push: func(h host, i image) []string {
			return h.command("docker", cli(h, "push", "--quiet", i.ref())...)
		},
		pull: func(h host, i image) []string {
			return h.command("docker", cli(h, "pull", "--quiet", i.ref())...)
		},
		drop: func(ctx context.Context, h host, i image) error {
			return h.run(ctx, "docker", cli(h, "image", "rm", "--force", i.ref())...)
		},
	}
}

// besideContainerd starts containerd 2 for a docker that would take the system's.
func besideContainerd(ctx context.Context, h host) ([]string, error) {
	return []string{"--containerd", containerdSocket(h)}, startContainerd(ctx, h, "containerd2")
}

func containerdSocket(h host) string { return h.file("containerd.sock") }

func startContainerd(ctx context.Context, h host, daemon string) error {
	config := h.file("containerd.toml")
	content := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		h.file("containerd"), h.file("containerd-run"), containerdSocket(h))
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		return err
	}
	return h.daemon(ctx, daemon, containerdSocket(h), "--config", config)
}

// containerd pulls with more flags.
func containerd(name, daemon, ctr string, more ...string) client {
	return client{
		name: name, needs: []string{daemon, ctr},
		start: func(ctx context.Context, h host) error { return startContainerd(ctx, h, daemon) },
		load: func(ctx context.Context, h host, i image) error {
			return h.run(ctx, ctr, "--address", containerdSocket(h), "images", "import", "--no-unpack", i.archive)
		},
		push: func(h host, i image) []string {
			return h.command(ctr, "--address", containerdSocket(h), "images", "push", "--plain-http", i.ref())
		},
		pull: func(h host, i image) []string {
			return h.command(ctr, slices.Concat([]string{"--address", containerdSocket(h), "images", "pull",
				"--plain-http", "--snapshotter", "native"}, more, []string{i.ref()})...)
		},
		drop: func(ctx context.Context, h host, i image) error {
			return h.run(ctx, ctr, "--address", containerdSocket(h), "images", "rm", "--sync", i.ref())
		},
	}
}

func startBuildkit(ctx context.Context, h host) error {
	return h.daemon(ctx, "buildkitd", h.file("buildkitd.sock"), "--addr", "unix://"+h.file("buildkitd.sock"), "--root",
		h.file("buildkit"), "--oci-worker-snapshotter", "native", "--oci-worker-net", "host", "--containerd-worker",
		"false")
}

// buildArgs build an image of the files, a layer each. After the first time only its output is made anew.
func buildArgs(h host, i image, output string) []string {
	return []string{"--addr", "unix://" + h.file("buildkitd.sock"), "build", "--progress", "plain", "--frontend",
		"dockerfile.v0", "--local", "context=" + buildContext(i), "--local", "dockerfile=" + buildContext(i), "--output",
		output}
}

func buildContext(i image) string { return filepath.Join(filepath.Dir(i.archive), "context") }

func writeDockerfile(i image) error {
	err := os.Mkdir(buildContext(i), 0o700)
	dockerfile := "FROM scratch\n"
	for n, content := range i.files {
		name := fmt.Sprintf("file-%d", n)
		err = errors.Join(err, os.WriteFile(filepath.Join(buildContext(i), name), content, 0o600))
		dockerfile += "COPY " + name + " /\n"
	}
	return errors.Join(err, os.WriteFile(filepath.Join(buildContext(i), "Dockerfile"), []byte(dockerfile), 0o600))
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
