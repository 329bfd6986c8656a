package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// startDistribution runs a real registry, with its content in files, and puts the content there.
func startDistribution(ctx context.Context, dir string, c content) (address string, err error) {
	program, err := distributionProgram(ctx)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "distribution")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if address, err = freeAddress(ctx, "127.0.0.1"); err != nil {
		return "", err
	}
	config := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, maintenance: {uploadpurging: {enabled: false}}}
http: {addr: %q, secret: proxybench}
`, filepath.Join(dir, "data"), address)), 0o600); err != nil {
		return "", err
	}
	// Else it would look for a collector of traces.
	p, err := begin(ctx, dir, "registry", []string{"OTEL_TRACES_EXPORTER=none"}, program, "serve", config)
	if err != nil {
		return "", err
	}
	if err := p.waitFor(ctx, address); err != nil {
		return "", err
	}
	return address, fill(ctx, address, c)
}

// distributionProgram is what go.mod of this module pins; the go command builds it and names the file.
func distributionProgram(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "tool", "-n", "registry").Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("go tool -n registry: %w: %s", err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// fill pushes the content to a registry itself.
func fill(ctx context.Context, address string, c content) error {
	direct, err := dialHTTP1(ctx, &front{setup: setup{listen: address}})
	if err != nil {
		return err
	}
	defer direct.close()
	if err := pushAtOnce(direct, c.blob, c.blobDigest); err != nil {
		return err
	}
	for _, reference := range []string{c.manifestDigest, tag} {
		if _, err := direct.do(http.MethodPut, manifestPath(reference), c.manifest,
			want{http.StatusCreated, -1, c.manifestDigest}); err != nil {
			return err
		}
	}
	return nil
}
