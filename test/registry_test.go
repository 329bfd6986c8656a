package test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// registry is one real registry, a replica's upstream.
type registry struct {
	*process
	address string // IP:PORT
	restart func() // after it was killed, with what it had stored if it stores anything
}

func (r *registry) url() string { return "http://" + r.address }

func (r *registry) ip() string {
	ip, _, _ := net.SplitHostPort(r.address)
	return ip
}

// registryKind is a registry program that replicas may run.
type registryKind struct {
	name  string
	start func(t testing.TB, name, address string) *registry
}

// distributionKind answers 404 and 400 to what it does not have, as most registries do.
var distributionKind = registryKind{"distribution", func(t testing.TB, name, address string) *registry {
	return startDistribution(t, name, address, built(t, registryProgram), "")
}}

// memoryKind is go-containerregistry's pkg/registry in a process of its own: it checks no layers, so a push that was
// split over two of them succeeds and leaves a damaged image.
var memoryKind = registryKind{"pkg/registry", func(t testing.TB, name, address string) *registry {
	crane := built(t, craneProgram)
	return startRegistry(t, address, func() *process {
		return startAt(t, placeOf(address), name, nil, crane, "registry", "serve", "--address", address)
	})
}}

// debianKind is distribution 2, as Debian packages it.
var debianKind = registryKind{"docker-registry", func(t testing.TB, name, address string) *registry {
	return startDistribution(t, name, address, installed(t, "docker-registry"), "")
}}

// olaregKind cleans paths before it reads them. It has no list of repositories.
var olaregKind = registryKind{"olareg", func(t testing.TB, name, address string) *registry {
	olareg, dir := built(t, olaregProgram), t.TempDir()
	host, port, _ := net.SplitHostPort(address)
	return startRegistry(t, address, func() *process {
		return startAt(t, placeOf(address), name, nil, olareg, "serve", "--addr", host, "--port", port, "--dir", dir,
			"--api-delete", "--api-blob-delete")
	})
}}

func startDistribution(t testing.TB, name, address, program, auth string) *registry {
	return startDistributionOn(t, filepath.Join(t.TempDir(), "data"), name, address, program, auth)
}

// startDistributionOn keeps its content in a folder.
func startDistributionOn(t testing.TB, data, name, address, program, auth string) *registry {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	writeFile(t, config, fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}, maintenance: {uploadpurging: {enabled: false}}}
http: {addr: %q, secret: %q}
%s`, data, address, name, auth))
	return startRegistry(t, address, func() *process {
		return startAt(t, placeOf(address), name, []string{"OTEL_TRACES_EXPORTER=none"}, program, "serve", config)
	})
}

func startRegistry(t testing.TB, address string, begin func() *process) *registry {
	r := &registry{address: address}
	r.restart = func() {
		r.process = begin()
		r.waitReady(t)
	}
	r.restart()
	return r
}

func (r *registry) waitReady(t testing.TB) {
	t.Helper()
	waitFor(t, startBound, r.name+" to answer /v2/", func() error {
		if r.ended() {
			t.Fatalf("%s ended at once: %v\n%s", r.name, r.cmd.ProcessState, r.output())
		}
		code, _, err := get(r.url()+"/v2/", nil)
		if err == nil && code != http.StatusOK && code != http.StatusUnauthorized {
			err = fmt.Errorf("status %d", code)
		}
		return err
	})
}

// pause stops the program where it stands, with its sockets open; the kernel still accepts connections for it.
func (r *registry) pause()  { r.signal(syscall.SIGSTOP) }
func (r *registry) resume() { r.signal(syscall.SIGCONT) }

func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// plain is for asking directly. It follows no redirects and uses no proxy of the environment's.
var plain = &http.Client{
	Timeout: 20 * time.Second,
	Transport: &http.Transport{DialContext: caller{}.DialContext, DisableCompression: true,
		MaxIdleConnsPerHost: 16},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// manifestTypes is what a client accepts for a manifest.
var manifestTypes = http.Header{"Accept": {strings.Join([]string{
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
}, ", ")}}
