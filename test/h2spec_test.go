package test

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// missedOfH2spec are the cases of h2spec 2.2.1 that a gateway does otherwise, and why that is as good.
var missedOfH2spec = map[string]string{
	"http2/6.5.3: Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE": "" +
		"a setting twice in one frame is an error of the connection: no client sends that",
	"http2/8.1.2.2: Sends a HEADERS frame that contains the connection-specific header field": "" +
		"is answered with 400, which RFC 9113, 8.1.1, allows, and is passed on to nobody",
	"http2/8.1.2.2: Sends a HEADERS frame that contains the TE header field with any value other than " +
		`"trailers"`: "as the one before",
}

// TestH2spec: HTTP/2 is spoken by the letter, but for what missedOfH2spec explains.
func TestH2spec(t *testing.T) {
	long(t) // h2spec waits in vain for 4 s in some cases, one after the other
	t.Parallel()
	page := strings.Repeat("a body of some length, for the cases about windows ", 20)
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, page)
	}))
	t.Cleanup(registry.Close)
	certificate, key := selfSigned(t)
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks,
		tls: fmt.Sprintf("{certificate: %q, key: %q}", certificate, key),
		replicas: []replica{{name: "westus", place: "azure/westus", address: "127.0.0.1", upstream: registry.URL,
			home: true}},
	})
	host, port, err := net.SplitHostPort(g.listen)
	must(t, err)
	report := filepath.Join(t.TempDir(), "report.xml")
	_, failed := command(t, nil, built(t, h2specProgram), "--host", host, "--port", port, "--tls", "--insecure",
		"--path", "/v2/app/blobs/sha256:"+strings.Repeat("a", 64), "--timeout", "4", "--junit-report", report)
	cases, missed := readJUnit(t, report)
	t.Logf("figure: %d of %d cases of h2spec pass", cases-len(missed), cases)
	if cases != 145 {
		t.Errorf("h2spec has run %d cases: %v", cases, failed)
	}
	if want := slices.Sorted(maps.Keys(missedOfH2spec)); !slices.Equal(missed, want) {
		t.Errorf("missed:\n%s\nwant:\n%s\n%v", strings.Join(missed, "\n"), strings.Join(want, "\n"), failed)
	}
}

// readJUnit counts the cases of a report, and names those that failed or were left out.
func readJUnit(t *testing.T, path string) (cases int, missed []string) {
	var report struct {
		Suites []struct {
			Cases []struct {
				Section string    `xml:"package,attr"`
				Title   string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, xml.Unmarshal(text, &report))
	for _, s := range report.Suites {
		for _, c := range s.Cases {
			cases++
			if c.Failure != nil || c.Error != nil || c.Skipped != nil {
				missed = append(missed, c.Section+": "+c.Title)
			}
		}
	}
	slices.Sort(missed)
	return cases, missed
}
