package test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Where the demo always listens.
const (
	demoHostname = "registry.contoso.com"
	demoDNS      = "127.0.0.1:5300"
	demoProxy    = "127.0.0.1:5000"
	demoAdmin    = "127.0.0.1:9180"
)

// demoRegions are the networks whose clients count as being in one region each, and the region.
var demoRegions = []struct{ subnet, client, replica string }{
	{"127.0.1.0/24", "127.0.1.7", "westus"},
	{"127.0.2.0/24", "127.0.2.7", "eastus"},
	{"127.0.3.0/24", "127.0.3.7", "canadacentral"},
	{"127.0.4.0/24", "127.0.4.7", "westeurope"},
}

// TestDemo does what a person does with it: reads what it prints, and tries it.
func TestDemo(t *testing.T) {
	skipUnlessDemoPortsAreFree(t)
	demo := start(t, "demo", nil, built(t, fairleadProgram), "demo")
	waitForDemo(t, demo)

	t.Run("what it prints", func(t *testing.T) { demoLines(t, demo.output()) })
	t.Run("names", demoNames)
	t.Run("dig", func(t *testing.T) { demoDig(t, installed(t, "dig"), "+short") })
	t.Run("kdig", func(t *testing.T) { demoDig(t, installed(t, "kdig"), "+short") })
	t.Run("clients", demoClients)
	t.Run("push and pull", func(t *testing.T) { demoPush(t, demo) })

	demo.signal(syscall.SIGINT)
	waitFor(t, startBound, "the demo to end", func() error {
		if !demo.ended() {
			return fmt.Errorf("it runs on after SIGINT")
		}
		return nil
	})
	if code := demo.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with exit code %d", code)
	}
}

// skipUnlessDemoPortsAreFree: in CI a taken port is a failure, as every skip is.
func skipUnlessDemoPortsAreFree(t *testing.T) {
	t.Helper()
	for _, address := range []string{demoDNS, demoProxy, demoAdmin} {
		ip, port, _ := net.SplitHostPort(address)
		if allFree([]string{ip}, port) {
			continue
		}
		if inCI() {
			t.Fatalf("%s is taken", address)
		}
		t.Skipf("SKIPPED: %s is taken, and the demo always listens there", address)
	}
}

func waitForDemo(t *testing.T, demo *process) {
	t.Helper()
	waitFor(t, startBound, "the demo to be ready", func() error {
		if demo.ended() {
			t.Fatalf("it ended at once:\n%s", demo.output())
		}
		code, _, err := get("http://"+demoAdmin+"/readyz", nil)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("status %d", code)
		}
		return err
	})
}

// demoLines runs every command that the demo prints, as it stands there.
func demoLines(t *testing.T, printed string) {
	dir := t.TempDir()
	link(t, built(t, shippedProgram), filepath.Join(dir, "bin", "fairlead"))
	link(t, built(t, craneProgram), filepath.Join(dir, "path", "crane"))
	configs, err := filepath.Abs("../configs")
	must(t, err)
	link(t, configs, filepath.Join(dir, "configs"))
	writeFile(t, filepath.Join(dir, "README.md"), "a file to put into an image\n")
	env := append(noCredentials(t), "PATH="+filepath.Join(dir, "path")+string(os.PathListSeparator)+os.Getenv("PATH"))
	ran := map[string]bool{}
	for line := range strings.Lines(printed) {
		line, isCommand := strings.CutPrefix(strings.TrimRight(line, "\n"), "  ")
		tool, _, _ := strings.Cut(line, " ")
		if !isCommand || !slices.Contains([]string{"dig", "curl", "tar", "crane", "bin/fairlead"}, tool) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			if tool == "dig" || tool == "curl" {
				installed(t, tool)
			}
			ran[tool] = true
			out, err := command(t, env, "sh", "-c", "cd '"+dir+"' && "+line)
			if err != nil || strings.TrimSpace(out) == "" && tool != "tar" {
				t.Errorf("%v\n%s", err, out)
			}
			t.Log(strings.TrimSpace(out))
		})
	}
	for _, want := range []string{"tar", "crane", "bin/fairlead"} {
		if !ran[want] {
			t.Errorf("it prints no line with %s:\n%s", want, printed)
		}
	}
}

func link(t testing.TB, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(to), 0o700))
	must(t, os.Symlink(from, to))
}

// demoNames: four subnets get four answers, over UDP and TCP, and explain says the same.
func demoNames(t *testing.T) {
	seen := map[string]string{}
	for _, region := range demoRegions {
		named := demoAddress(t, "udp", region.replica+"."+demoHostname, "")
		for _, transport := range []string{"udp", "tcp"} {
			if got := demoAddress(t, transport, demoHostname, region.subnet); got != named {
				t.Errorf("%s over %s: %s, but %s is at %s", region.subnet, transport, got, region.replica, named)
			}
		}
		if other, taken := seen[named]; taken {
			t.Errorf("%s and %s get the same answer %s", other, region.subnet, named)
		}
		seen[named] = region.subnet
		if e := explainJSON(t, "../configs/demo.yaml", "--client", region.client); *e.Chosen != region.replica {
			t.Errorf("explain says %s for %s, DNS %s", *e.Chosen, region.client, region.replica)
		}
	}
}

func demoAddress(t *testing.T, transport, name, subnet string) string {
	t.Helper()
	answer, err := askDNS(transport, demoDNS, name, dns.TypeA, subnet)
	must(t, err)
	if len(answer.Answer) != 1 {
		t.Fatalf("%s for %s: %v", name, subnet, answer)
	}
	return answer.Answer[0].(*dns.A).A.String()
}

func demoDig(t *testing.T, program, short string) {
	seen := map[string]bool{}
	for _, region := range demoRegions {
		out, err := command(t, nil, program, "@127.0.0.1", "-p", "5300", demoHostname, short, "+subnet="+region.subnet)
		must(t, err)
		if want := demoAddress(t, "udp", region.replica+"."+demoHostname, ""); strings.TrimSpace(out) != want {
			t.Errorf("%s for %s: %q, want %s", filepath.Base(program), region.subnet, out, want)
		}
		seen[out] = true
	}
	if len(seen) != len(demoRegions) {
		t.Errorf("%d different answers", len(seen))
	}
}

// demoClients: each address is served by its region, and is told so.
func demoClients(t *testing.T) {
	for _, region := range demoRegions {
		header := demoHeader(t, region.client)
		if want := region.replica + "; reason=nearest"; header != want {
			t.Errorf("%s is served by %q, want %q", region.client, header, want)
		}
		t.Logf("figure: %s is served by %s", region.client, header)
	}
}

func demoHeader(t *testing.T, client string) string {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return from(client).DialContext(ctx, network, address)
	}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: patient(20 * time.Second)}).Get("http://" +
		demoProxy + "/v2/")
	must(t, err)
	response.Body.Close()
	return response.Header.Get("Fairlead-Replica")
}

// demoPush: what is pushed comes back with the same digest, and the demo shows where it went.
func demoPush(t *testing.T, demo *process) {
	img := newImage(t, "amd64")
	ref := demoProxy + "/pushed/by-crane:" + imageTag
	must(t, cranePush(t, img, ref))
	if got, err := crane(t, "digest", ref); err != nil || got != img.digest {
		t.Errorf("pushed %s, crane digest says %s: %v", img.digest, got, err)
	}
	layout := filepath.Join(t.TempDir(), "layout")
	if _, err := crane(t, "pull", "--format=oci", ref, layout); err != nil {
		t.Error(err)
	}
	if pulled := contentOf(filepath.Join(layout, "index.json")); !strings.Contains(pulled, img.digest) {
		t.Errorf("pushed %s, pulled %s", img.digest, pulled)
	}
	shown := lineWith(demo.output(), "PUT", "/v2/pushed/by-crane/manifests/"+imageTag)
	if !strings.Contains(shown, "westus") {
		t.Errorf("the demo does not show where the manifest went: %q", shown)
	}
}

// lineWith is the first line with all parts.
func lineWith(text string, parts ...string) string {
	for line := range strings.Lines(text) {
		if containsAll(line, parts) {
			return line
		}
	}
	return ""
}
