package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// accessLine is what these tests read of a line of the access log.
type accessLine struct {
	Method, Path, Replica, Reason string
	Status                        int
}

// TestAccessLogRotation: a file that is renamed is followed by a new one, and no line is lost on the way.
func TestAccessLogRotation(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "access.log")
	g := startGateway(t, "gateway", "127.0.0.1", accessFile(t, name))
	const each = 20
	for n := range 3 {
		for i := range each {
			code, _, err := get(fmt.Sprintf("%s/v2/app/manifests/v%d", g.url(), i), nil)
			if err != nil || code != http.StatusNotFound {
				t.Fatal(code, err)
			}
		}
		if n < 2 {
			waitFor(t, startBound, "a line", func() error { _, err := os.Stat(name); return err })
			must(t, os.Rename(name, fmt.Sprint(name, ".", n)))
		}
	}
	waitFor(t, startBound, "all lines", func() error {
		lines := 0
		for _, file := range []string{name, name + ".0", name + ".1"} {
			lines += len(accessLines(t, file))
		}
		if lines != 3*each {
			return fmt.Errorf("%d lines of %d", lines, 3*each)
		}
		return nil
	})
	last := accessLines(t, name)
	if len(last) == 0 {
		t.Fatal("nothing came to the newest file")
	}
	want := accessLine{"GET", fmt.Sprint("/v2/app/manifests/v", each-1), "westus", "nearest", 404}
	if got := last[len(last)-1]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// accessFile is of a gateway whose only replica has nothing.
func accessFile(t *testing.T, log string) file {
	return file{accessLog: log, health: "{fronts: false}", replicas: []replica{{
		name: "westus", place: "azure/westus", address: "203.0.113.1", home: true,
		upstream: "http://" + startFake(t, func(*http.Request) int { return http.StatusNotFound }).address,
	}}}
}

// accessLines are the lines of requests of a file, which need not be there.
func accessLines(t *testing.T, name string) (lines []accessLine) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line accessLine
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, scanner.Bytes())
		}
		lines = append(lines, line)
	}
	return lines
}

// TestAccessLogToNobody: a gateway goes on when whoever reads its output ends, and counts what is lost.
func TestAccessLogToNobody(t *testing.T) {
	t.Parallel()
	f := accessFile(t, "stdout")
	f.listen, f.dns = freeAddress(t, "127.0.0.1"), freeAddress(t, "127.0.0.1")
	f.admin = freeAddress(t, "127.0.0.1")
	config := filepath.Join(t.TempDir(), "fairlead.yaml")
	writeFile(t, config, f.String())
	cmd := exec.Command(built(t, fairleadProgram), "serve", "--config", config)
	cmd.SysProcAttr = ownGroup()
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	ended := make(chan error, 1)
	defer func() { _ = cmd.Process.Signal(syscall.SIGKILL); <-ended }()
	g := &gateway{file: f}
	ask := func() error { _, _, err := get(g.url()+"/v2/app/tags/list", nil); return err }
	waitFor(t, startBound, "the gateway to serve", ask)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !json.Valid([]byte(line)) {
		t.Errorf("%q %v", line, err)
	}
	must(t, out.Close())
	go func() { ended <- cmd.Wait() }()
	waitFor(t, startBound, "a line to be counted as lost", func() error {
		if err := ask(); err != nil {
			return err
		}
		if lost := g.metric(t, "fairlead_access_log_lost_total", `why="failed"`); lost == 0 {
			return fmt.Errorf("none is")
		}
		return nil
	})
	select {
	case err := <-ended:
		t.Errorf("the gateway has ended: %v", err)
		ended <- err
	default:
	}
}
