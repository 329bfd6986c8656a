package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// tmpfs is a small disk of its own.
func tmpfs(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if inCI() {
			t.Fatalf("no tmpfs can be mounted: %v", err)
		}
		t.Skipf("SKIPPED: no tmpfs can be mounted here (it takes root): %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

func remount(t testing.TB, dir string, flags uintptr) {
	t.Helper()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""))
}

// stateless is a gateway whose state goes, and what is asked of it meanwhile.
type stateless struct {
	*gateway
	accept bool // the file says that what cannot be recorded is accepted
	pushed int
}

// manifestNumber is an image with nothing but a config, which is the same in all.
func manifestNumber(t testing.TB, n int) []byte {
	config := []byte("{}")
	return encode(t, map[string]any{
		"schemaVersion": 2, "mediaType": typeManifest, "layers": []string{},
		"annotations": map[string]string{"number": fmt.Sprint(n)},
		"config":      descriptor{MediaType: typeConfig, Digest: digestOf(config), Size: int64(len(config))},
	})
}

// onState runs a test with each value of `unrecorded`, and a state that begins as begin leaves it.
func onState(t *testing.T, run func(t *testing.T, begin func(state string) *stateless)) {
	for i, unrecorded := range []string{"refuse", "accept"} {
		t.Run(unrecorded, func(t *testing.T) {
			if i > 0 {
				long(t)
			}
			run(t, func(state string) *stateless {
				registries := startRegistries(t, distributionKind, splitReplicas[:2])
				for _, r := range registries {
					must(t, r.putBlob("app", []byte("{}")))
					must(t, r.put("/v2/app/manifests/before", typeManifest, manifestNumber(t, -1)))
				}
				return &stateless{accept: unrecorded == "accept", gateway: startGateway(t, "gateway", "127.0.0.1", file{
					here: splitReplicas[0].name, networks: splitNetworks, replicas: withUpstreams(splitReplicas[:2],
						registries),
					health: "{fronts: false}", state: state, replication: "{unrecorded: " + unrecorded + "}",
				})}
			})
		})
	}
}

// push pushes a new tag.
func (s *stateless) push(t testing.TB) (code int, header http.Header, body string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/v2/app/manifests/v%d", s.url(), s.pushed),
		bytes.NewReader(manifestNumber(t, s.pushed)))
	must(t, err)
	request.Header.Set("Content-Type", typeManifest)
	response, err := plain.Do(request)
	must(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	must(t, err)
	s.pushed++
	return response.StatusCode, response.Header, string(answer)
}

func (s *stateless) available(t testing.TB) bool {
	return s.metric(t, "fairlead_state_available") == 1
}

// serves: pulls and DNS go on, whatever becomes of the state.
func (s *stateless) serves(t testing.TB) {
	t.Helper()
	if digest, err := pulled(s.url(), "app", "before"); err != nil || digest != digestOf(manifestNumber(t, -1)) {
		t.Errorf("pulled %s, %v", digest, err)
	}
	if address, err := addressOf(s.dns, splitNetworks[0].prefix); err != nil || address != "127.0.0.11" {
		t.Errorf("DNS answers %s, %v", address, err)
	}
}

// without: a push is answered as the file says while there is no state.
func (s *stateless) without(t testing.TB, why error) {
	t.Helper()
	s.serves(t)
	code, header, body := s.push(t)
	for try := 0; !s.accept && code == http.StatusCreated && try < 100; try++ { // one may still fit into the file
		code, header, body = s.push(t)
	}
	switch {
	case s.accept && code != http.StatusCreated:
		t.Errorf("status %d: %s", code, body)
	case s.accept && !strings.Contains(s.output(), "it was accepted all the same"):
		t.Error("nothing is in the log about what was accepted")
	case !s.accept:
		s.refused(t, code, header, body, why)
	}
	s.serves(t)
}

func (s *stateless) refused(t testing.TB, code int, header http.Header, body string, why error) {
	t.Helper()
	if code != http.StatusServiceUnavailable || header.Get("Retry-After") == "" ||
		!strings.Contains(body, `"code":"UNAVAILABLE"`) || !strings.Contains(body, why.Error()) {
		t.Errorf("status %d, want 503 with %q: %v %s", code, why, header, body)
	}
	if strings.Contains(body, s.state) {
		t.Errorf("a client is told of our files: %s", body)
	}
}

// again: with the state there, pushes are recorded by the same process.
func (s *stateless) again(t testing.TB) {
	t.Helper()
	waitFor(t, startBound, "the state to be available", func() error {
		if !s.available(t) {
			return fmt.Errorf("not available")
		}
		return nil
	})
	if code, _, body := s.push(t); code != http.StatusCreated {
		t.Errorf("status %d: %s", code, body)
	}
	s.serves(t)
	if s.ended() || !strings.Contains(s.output(), "is available again") {
		t.Errorf("ended %v, or not said", s.ended())
	}
}

// TestStateFull: the disk with the state becomes full, and has room again.
func TestStateFull(t *testing.T) {
	t.Parallel()
	onState(t, func(t *testing.T, begin func(string) *stateless) {
		disk := tmpfs(t)
		s := begin(filepath.Join(disk, "state"))
		ballast := filepath.Join(disk, "ballast")
		fillDisk(t, ballast)
		for s.available(t) { // some fit into what the file has
			if code, header, body := s.push(t); code != http.StatusCreated {
				s.refused(t, code, header, body, syscall.ENOSPC)
			}
		}
		t.Logf("figure: %s: pushes until the full disk was noticed: %d", s.replication, s.pushed)
		s.without(t, syscall.ENOSPC)
		must(t, os.Remove(ballast))
		s.again(t)
	})
}

// TestStateElsewhere: the ledger of one gateway cannot be written. Another one records what its clients push and
// delete: no push fails, all of it comes to the other regions, and what is deleted comes back nowhere.
func TestStateElsewhere(t *testing.T) {
	t.Parallel()
	long(t)
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startCluster(t, registries, func(_ int, f *file) { f.replication, f.state = copyAll, t.TempDir() })
	s := &stateless{gateway: gateways[0]}
	for _, r := range registries {
		must(t, r.putBlob("app", []byte("{}")))
		must(t, r.put("/v2/app/manifests/before", typeManifest, manifestNumber(t, -1)))
	}
	push := func() {
		t.Helper()
		if code, _, body := s.push(t); code != http.StatusCreated {
			t.Fatalf("push %d: status %d: %s", s.pushed-1, code, body)
		}
	}
	everywhere := func(n int, there bool) {
		t.Helper()
		for _, r := range registries {
			waitFor(t, startBound, fmt.Sprintf("v%d at %s: %v", n, r.name, there), func() error {
				digest, err := r.tagged("app", fmt.Sprint("v", n))
				if got := digest == digestOf(manifestNumber(t, n)); got != there {
					return fmt.Errorf("%q, %v", digest, err)
				}
				return nil
			})
		}
	}
	remove := func(name string) {
		t.Helper()
		request, err := http.NewRequest(http.MethodDelete, s.url()+"/v2/app/manifests/"+name, nil)
		must(t, err)
		response, err := plain.Do(request)
		must(t, err)
		response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			t.Errorf("deletion of %s: %s", name, response.Status)
		}
	}
	push()
	everywhere(0, true)
	set := immutable(t, filepath.Join(s.state, "ledger.db"))
	set(true)
	for range 4 {
		push()
	}
	if s.available(t) {
		t.Error("its record counts as available")
	}
	last := s.pushed - 1
	everywhere(last, true)
	if n := s.metric(t, "fairlead_state_elsewhere_total", `result="done"`); n < 4 {
		t.Errorf("%v writes were recorded elsewhere", n)
	}
	remove("v0") // of which this gateway's record says that it is there
	remove(digestOf(manifestNumber(t, last)))
	everywhere(0, false)
	everywhere(last, false)
	push()
	set(false)
	s.again(t)
	everywhere(s.pushed-2, true)
	everywhere(s.pushed-1, true)
	everywhere(0, false)
	everywhere(last, false)
	for _, g := range gateways {
		if _, err := pulled(g.url(), "app", "v0"); err == nil {
			t.Errorf("%s gives out what was deleted", g.name)
		}
	}
}

// TestStateReadOnlyAtStart: a gateway starts without its state, and has it as soon as that can be written.
func TestStateReadOnlyAtStart(t *testing.T) {
	t.Parallel()
	onState(t, func(t *testing.T, begin func(string) *stateless) {
		disk := tmpfs(t)
		remount(t, disk, syscall.MS_RDONLY)
		s := begin(filepath.Join(disk, "state"))
		if s.available(t) || !strings.Contains(s.output(), "level=ERROR") {
			t.Error("nothing is said of a state that is not there")
		}
		s.without(t, syscall.EROFS)
		remount(t, disk, 0)
		s.again(t)
	})
}

// TestStateReadOnlyLater: a file that turns read-only while it is open. No file system can be made to with a file open
// for writing, but for errors of its disk, after which it has to be mounted anew; an immutable file is as good.
func TestStateReadOnlyLater(t *testing.T) {
	t.Parallel()
	onState(t, func(t *testing.T, begin func(string) *stateless) {
		state := t.TempDir()
		s := begin(state)
		if code, _, body := s.push(t); code != http.StatusCreated {
			t.Fatalf("status %d: %s", code, body)
		}
		set := immutable(t, filepath.Join(state, "ledger.db"))
		set(true)
		s.push(t)
		s.without(t, syscall.EPERM)
		if s.available(t) {
			t.Error("it counts as available")
		}
		set(false)
		s.again(t)
	})
}

const flagImmutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h

// immutable lets a file be made so. While it is, writing fails also where it was open before.
func immutable(t testing.TB, path string) (set func(bool)) {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	change := func(on bool) error {
		flags, err := unix.IoctlGetUint32(int(file.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		flags &^= flagImmutable
		if on {
			flags |= flagImmutable
		}
		return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
	}
	t.Cleanup(func() {
		_ = change(false) // else nobody could remove it
		file.Close()
	})
	if err := change(true); err != nil {
		t.Skipf("SKIPPED: no file can be made immutable here (it takes root, and ext4): %v", err)
	}
	return func(on bool) { must(t, change(on)) }
}
