package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// profilerSource is compiled into the gateway that is profiled, beside its own files, which stay as they are.
//
//go:embed testdata/profiler.go
var profilerSource []byte

// profilerVariable names the address at which the profiler listens.
const profilerVariable = "PROXYBENCH_PROFILER"

// buildProfiled builds fairlead from its source with the profiler in it.
func buildProfiled(ctx context.Context, source, dir string) (program string, err error) {
	if source, err = filepath.Abs(source); err != nil {
		return "", err
	}
	added, overlay := filepath.Join(dir, "profiler.go"), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(source, "cmd", "fairlead", "profiler.go"): added}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(added, profilerSource, 0o600), os.WriteFile(overlay, text, 0o600)); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "fairlead-profiled")
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "./cmd/fairlead")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return program, nil
}

// profile has the CPU profile of one measurement written to a file, if the front can be profiled.
func (f *front) profile(ctx context.Context, file string, measured func() error) error {
	profiler := "http://" + f.setup.profiler
	if err := ask(ctx, http.MethodPost, profiler+"/start", io.Discard); err != nil {
		return err
	}
	if err := measured(); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	return ask(ctx, http.MethodPost, profiler+"/stop", out)
}

// profileName is a file name for a case.
func profileName(c benchCase, round int) string {
	name := strings.NewReplacer(" ", "-", ",", "", "/", "").Replace(c.name)
	return fmt.Sprintf("%s.%d.pprof", name, round+1)
}
