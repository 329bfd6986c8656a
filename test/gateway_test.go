package test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const hostname = "registry.example.test"

// replica is one entry of a file's replicas.
type replica struct {
	name, place string
	address     string // what DNS answers
	upstream    string // URL
	home        bool
	more        string // keys and values, each behind a comma
}

// network places clients.
type network struct{ prefix, place string }

// file is what these tests set of a configuration file; all else keeps its default.
type file struct {
	here     string
	listen   string // IP:PORT of the proxy
	dns      string // IP:PORT
	admin    string // IP:PORT
	limits   string // the mapping of the key proxy.limits
	paths    string // the list of the key proxy.paths
	trusted  string // the list of the key proxy.trusted_proxies
	tls      string // the mapping of the key proxy.tls
	health   string // the mapping of the key health
	networks []network
	// Of geo databases. Nil: one that places next to nobody, since the built-in table takes three seconds under the
	// race detector.
	databases []string
	replicas  []replica
	cluster   string // the mapping of the key cluster
	state     string // a folder
	webhooks  string // lines
	accessLog string // a file; empty: none
	debug     bool   // log each request
	upstreams string // the list of the key admin.upstreams

	// The mapping of the key replication. Empty: nothing is copied, so that what a push has scattered stays to be seen.
	replication string
}

func (f file) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "hostname: %s\n", hostname)
	fmt.Fprintf(&b, "dns: {listen: [%q], nameservers: [ns1.example.test], ttl: 5s}\n", f.dns)
	if f.here != "" {
		fmt.Fprintf(&b, "here: %s\n", f.here)
	}
	tls := ""
	if f.tls != "" {
		tls = ", tls: " + f.tls
	}
	fmt.Fprintf(&b, "proxy: {listen: [%q], limits: %s, paths: %s, trusted_proxies: %s%s, access_log: %q}\n",
		f.listen, cmp.Or(f.limits, "{}"), cmp.Or(f.paths, "[]"), cmp.Or(f.trusted, "[]"), tls, f.accessLog)
	databases := f.databases
	if databases == nil {
		databases = []string{nextToNobody()}
	}
	fmt.Fprintf(&b, "geo:\n  database: [%s]\n  networks:\n", strings.Join(databases, ", "))
	for _, n := range f.networks {
		fmt.Fprintf(&b, "    - {network: %s, place: %s}\n", n.prefix, n.place)
	}
	fmt.Fprintf(&b, "health: %s\n", f.health)
	b.WriteString("replicas:\n")
	for _, r := range f.replicas {
		fmt.Fprintf(&b, "  - {name: %s, place: %s, addresses: [%s], upstream: %q, home: %t%s}\n", r.name, r.place,
			r.address, r.upstream, r.home, r.more)
	}
	if f.state != "" {
		fmt.Fprintf(&b, "state: %q\n", f.state)
	}
	if f.cluster != "" {
		fmt.Fprintf(&b, "cluster: %s\n", f.cluster)
	}
	fmt.Fprintf(&b, "replication: %s\n", cmp.Or(f.replication, `{filters: [{repositories: ["*"]}]}`))
	b.WriteString(f.webhooks)
	fmt.Fprintf(&b, "admin: {listen: %q, upstreams: %s}\n", f.admin, cmp.Or(f.upstreams, "[]"))
	return b.String()
}

// gateway is one running `fairlead serve`.
type gateway struct {
	*process
	file
	at      place
	config  string // its file
	restart func() // after it has ended
}

// startGateway fills in the addresses that the file leaves open, all on ip, and waits until the gateway is ready.
func startGateway(t testing.TB, name, ip string, f file) *gateway {
	t.Helper()
	return startProgram(t, built(t, fairleadProgram), name, ip, f)
}

func startProgram(t testing.TB, program, name, ip string, f file) *gateway {
	t.Helper()
	return startCommand(t, []string{program}, name, ip, f)
}

// startCommand starts a gateway by a command that its arguments can be added to.
func startCommand(t testing.TB, command []string, name, ip string, f file) *gateway {
	t.Helper()
	for _, open := range []*string{&f.listen, &f.dns} {
		if *open == "" {
			*open = freeAddress(t, ip)
		}
	}
	if f.admin == "" {
		f.admin = freeAddress(t, "127.0.0.1")
	}
	config := filepath.Join(t.TempDir(), "fairlead.yaml")
	writeFile(t, config, f.String())
	g := &gateway{file: f, at: placeOf(ip), config: config}
	g.restart = func() {
		args := append(command[1:len(command):len(command)], "serve", "--config", config,
			"--debug="+strconv.FormatBool(f.debug))
		g.process = startAt(t, g.at, name, nil, command[0], args...)
		g.waitReady(t)
	}
	g.restart()
	return g
}

func (g *gateway) url() string { return "http://" + g.listen }

func (g *gateway) waitReady(t testing.TB) {
	t.Helper()
	waitFor(t, startBound, g.name+" to be ready", func() error {
		if g.ended() {
			t.Fatalf("%s ended at once: %v\n%s", g.name, g.cmd.ProcessState, g.output())
		}
		code, body, err := g.askAdmin("/readyz")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("status %d: %s", code, body)
		}
		return err
	})
}

// lease is an entry of /leases.
type lease struct {
	Repository string    `json:"repository"`
	Owner      string    `json:"owner"`
	Granted    time.Time `json:"granted"`
	Last       time.Time `json:"last"`
	Open       int       `json:"open"`
	GrantedBy  string    `json:"granted_by"`
	Arbitrated bool      `json:"arbitrated"`
}

// leases is what the gateway says on /leases: the owner of each repository.
func (g *gateway) leases(t testing.TB) map[string]string {
	t.Helper()
	var list []lease
	g.adminJSON(t, "/leases", &list)
	owners := map[string]string{}
	for _, l := range list {
		owners[l.Repository] = l.Owner
	}
	return owners
}

func (g *gateway) adminJSON(t testing.TB, path string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.adminText(t, path)), into); err != nil {
		t.Fatalf("%s %s: %v", g.name, path, err)
	}
}

// askAdmin asks from where the gateway is: nobody else can.
func (g *gateway) askAdmin(path string) (code int, body []byte, err error) {
	return g.tellAdmin(http.MethodGet, path, "")
}

// tellAdmin sends JSON, if it is not empty.
func (g *gateway) tellAdmin(method, path, content string) (code int, body []byte, err error) {
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = g.at.do(func() (err error) { conn, err = (&net.Dialer{}).DialContext(ctx, network, address); return err })
		return conn, err
	}
	client := &http.Client{Timeout: plain.Timeout, Transport: &http.Transport{DialContext: dial,
		DisableKeepAlives: true}}
	request, err := http.NewRequest(method, "http://"+g.admin+path, strings.NewReader(content))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func (g *gateway) adminText(t testing.TB, path string) string {
	t.Helper()
	code, body, err := g.askAdmin(path)
	if err != nil || code != http.StatusOK {
		t.Fatalf("%s %s: status %d, %v: %s", g.name, path, code, err, body)
	}
	return string(body)
}

// metric is the sum of all series of a name on /metrics; labels, if any, must all stand in the series.
func (g *gateway) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	sum, found := g.sum(t, name, labels)
	if !found {
		t.Fatalf("%s has no metric %s %v", g.name, name, labels)
	}
	return sum
}

// metricOrZero is for what may not have happened yet.
func (g *gateway) metricOrZero(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	sum, _ := g.sum(t, name, labels)
	return sum
}

func (g *gateway) sum(t testing.TB, name string, labels []string) (sum float64, found bool) {
	t.Helper()
	for line := range strings.Lines(g.adminText(t, "/metrics")) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		base, set, _ := strings.Cut(series, "{")
		if !ok || base != name || !containsAll(set, labels) {
			continue
		}
		v, err := strconv.ParseFloat(value[strings.LastIndexByte(value, ' ')+1:], 64)
		must(t, err)
		sum, found = sum+v, true
	}
	return sum, found
}

func containsAll(s string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
