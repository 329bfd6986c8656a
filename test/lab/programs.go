package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// source is where a program comes from. One of the fields is set.
type source struct {
	debian  string // the package; it has to be installed (see install.sh)
	tool    string // the module, pinned by test/go.mod
	install string // package@version, built once and kept in bin/lab
}

// sources are the programs of others, by the names that the lab gives them.
var sources = map[string]source{
	"registry":    {tool: "github.com/distribution/distribution/v3"},
	"crane":       {tool: "github.com/google/go-containerregistry"},
	"regctl":      {tool: "github.com/regclient/regclient"},
	"skopeo":      {debian: "skopeo"},
	"podman":      {debian: "podman"},
	"buildah":     {debian: "buildah"},
	"docker":      {debian: "docker.io"},
	"dockerd":     {debian: "docker.io"},
	"containerd":  {debian: "containerd"},
	"ctr":         {debian: "containerd"},
	"dnsmasq":     {debian: "dnsmasq-base"},
	"helm":        {install: "helm.sh/helm/v3/cmd/helm@v3.22.0"},
	"oras":        {install: "oras.land/oras/cmd/oras@v1.3.6"},
	"containerd2": {install: "github.com/containerd/containerd/v2/cmd/containerd@v2.4.2"},
	"ctr2":        {install: "github.com/containerd/containerd/v2/cmd/ctr@v2.4.2"},
	"dockerd29":   {install: "github.com/moby/moby/v2/cmd/dockerd@v2.0.0-beta.24"},
	"buildkitd":   {install: "github.com/moby/buildkit/cmd/buildkitd@v0.33.1"},
	"buildctl":    {install: "github.com/moby/buildkit/cmd/buildctl@v0.33.1"},
}

// program is one that can be run.
type program struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// find builds or looks up a program. It is called from the folder test.
func (s source) find(ctx context.Context, name, root string) (program, error) {
	switch {
	case s.tool != "":
		return s.findTool(ctx, name)
	case s.install != "":
		return s.findInstalled(ctx, root)
	}
	version, err := output(ctx, nil, "dpkg-query", "--show", "--showformat=${Version}", s.debian)
	if err != nil {
		return program{}, fmt.Errorf("%s: %s is not installed; test/lab/install.sh installs it on Debian", name,
			s.debian)
	}
	for _, dir := range []string{"/usr/bin", "/usr/sbin"} { // others of the name may stand elsewhere
		if file := filepath.Join(dir, name); exists(file) {
			return program{file, version}, nil
		}
	}
	return program{}, fmt.Errorf("%s has no %s", s.debian, name)
}

func (s source) findTool(ctx context.Context, name string) (program, error) {
	version, err := output(ctx, nil, "go", "list", "-m", "-f", "{{.Version}}", s.tool)
	if err != nil {
		return program{}, err
	}
	file, err := output(ctx, nil, "go", "tool", "-n", name)
	return program{file, version}, err
}

// findInstalled builds in a module of its own: `go install` refuses modules that exclude versions of others.
func (s source) findInstalled(ctx context.Context, root string) (program, error) {
	pkg, version, _ := strings.Cut(s.install, "@")
	dir := filepath.Join(root, "bin", "lab", path.Base(pkg)+"@"+version)
	p := program{filepath.Join(dir, path.Base(pkg)), version}
	if exists(p.Path) {
		return p, nil
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return p, err
	}
	for _, args := range [][]string{{"mod", "init", "lab"}, {"get", s.install}, {"build", "-o", p.Path, pkg}} {
		if _, err := output(ctx, []string{"CGO_ENABLED=0"}, "go", append([]string{"-C", dir}, args...)...); err != nil {
			return p, err
		}
	}
	return p, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}
