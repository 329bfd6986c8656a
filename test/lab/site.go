package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	hostname  = "registry.lab.test"
	port      = ":5000"
	authority = hostname + port
)

// replica is a region: a registry, where it may have a gateway, and where the lab may stand before the registry.
type replica struct{ name, registry, gateway, link string }

// The first is home. The clients, which are all of 127.0.0.0/8 but one, stand near the second.
var replicas = []replica{
	{"westus", "127.0.1.10", "127.0.1.1", "127.0.1.20"},
	{"westeurope", "127.0.2.10", "127.0.2.1", "127.0.2.20"},
	{"eastus", "127.0.3.10", "127.0.3.1", "127.0.3.20"},
}

const clientsPlace, near = "azure/northeurope", 1

// elsewhere is the one client's address that is near home.
const elsewhere, elsewherePlace = "127.0.5.1", "azure/westus2"

func registryAddresses(list []replica) []string {
	var addresses []string
	for _, r := range list {
		addresses = append(addresses, r.registry+port)
	}
	return addresses
}

// bench is what runs for one cell. It is closed as a whole.
type bench struct {
	dir      string
	data     string // where all distributions have their content; "" is each for itself
	fairlead string
	programs map[string]program
	stops    []func()
}

func (b *bench) add(stop func()) { b.stops = append(b.stops, stop) }

func (b *bench) close() {
	for _, stop := range b.stops {
		stop()
	}
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

// startRegistry keeps what it stores over a restart if it is distribution; crane's is in memory.
func (b *bench) startRegistry(ctx context.Context, kind string, r replica) (*process, error) {
	address := r.registry + port
	program, args := b.programs["crane"].Path, []string{"registry", "serve", "--address", address}
	if kind == "distribution" {
		data := b.data
		if data == "" {
			data = b.file("data-" + r.name)
		}
		config := b.file("registry-" + r.name + ".yml")
		content := fmt.Sprintf(`version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}, maintenance: {uploadpurging: {enabled: false}}}
http: {addr: %q, secret: the same everywhere}
`, data, address)
		if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
			return nil, err
		}
		program, args = b.programs["registry"].Path, []string{"serve", config}
	}
	p, err := startProcess(b.file("registry-"+r.name+".log"), program, args...)
	if err != nil {
		return nil, err
	}
	b.add(p.kill)
	return p, p.until(ctx, func() error { return answers200(ctx, "http://"+address+"/v2/") })
}

func answers200(ctx context.Context, url string) error {
	_, err := get(ctx, url)
	return err
}

// startGateway starts Fairlead beside a replica, knowing all of them.
func (b *bench) startGateway(ctx context.Context, here replica, all []replica, more string) error {
	var config strings.Builder
	fmt.Fprintf(&config, `hostname: %s
here: %s
dns: {listen: ["%s:53"], nameservers: [ns1.example.test]}
proxy: {listen: [%q]}
admin: {listen: "%s:9180"}
geo: {networks: [{network: 127.0.0.0/8, place: %s}, {network: %s/32, place: %s}]}
%sreplicas:
`, hostname, here.name, here.gateway, here.gateway+port, here.gateway, clientsPlace, elsewhere, elsewherePlace, more)
	for i, r := range all {
		fmt.Fprintf(&config, "  - {name: %s, place: azure/%s, addresses: [%s], upstream: \"http://%s%s\", home: %t}\n",
			r.name, r.name, r.gateway, r.registry, port, i == 0)
	}
	file := b.file("gateway-" + here.name + ".yaml")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		return err
	}
	p, err := startProcess(b.file("gateway-"+here.name+".log"), b.fairlead, "serve", "--debug", "--config", file)
	if err != nil {
		return err
	}
	b.add(p.kill)
	return p.until(ctx, func() error { return answers200(ctx, "http://"+here.gateway+":9180/readyz") })
}

// startCluster starts gateways that know one another.
func (b *bench) startCluster(ctx context.Context, all []replica) error {
	var peers []string
	for _, r := range all {
		peers = append(peers, r.gateway)
	}
	for _, r := range all {
		cluster := fmt.Sprintf("cluster: {listen: \"%s:7946\", peers: [%s], name: gw-%s}\n", r.gateway,
			strings.Join(peers, ", "), r.name)
		if err := b.startGateway(ctx, r, all, cluster); err != nil {
			return err
		}
	}
	for _, r := range all {
		if err := waitFor(ctx, func() error { return members(ctx, r, len(all)) }); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// members is no error if the gateway knows as many as there are.
func members(ctx context.Context, r replica, want int) error {
	body, err := get(ctx, "http://"+r.gateway+":9180/cluster")
	if err != nil {
		return err
	}
	var cluster struct{ Members []struct{} }
	if err := json.Unmarshal(body, &cluster); err != nil {
		return err
	}
	if len(cluster.Members) != want {
		return fmt.Errorf("it knows %d gateways, not %d", len(cluster.Members), want)
	}
	return nil
}

// ends starts what the setup has, and returns the IP addresses among which connections are thrown about.
func (b *bench) ends(ctx context.Context, c cell) (ips []string, err error) {
	list := replicas[:2]
	for _, r := range list {
		if _, err := b.startRegistry(ctx, c.Registry, r); err != nil {
			return nil, err
		}
		if c.fairlead() {
			ips = append(ips, r.gateway)
		} else {
			ips = append(ips, r.registry)
		}
	}
	switch c.Setup {
	case "fairlead-cluster":
		return ips, b.startCluster(ctx, list)
	case "fairlead":
		for _, r := range list {
			if err := b.startGateway(ctx, r, list, ""); err != nil {
				return nil, err
			}
		}
	}
	return ips, nil
}

const (
	resolver = "127.0.0.53:53" // in resolv.conf
	behind   = "127.0.0.54:53" // where the answers come from if dnsmasq is the resolver
	frontIP  = "127.0.0.2"
)

// route leads the name to the ends in the way of the cell's mode.
func (b *bench) route(ctx context.Context, c cell, ips []string, slow *pace) error {
	var ends []string
	for _, ip := range ips {
		ends = append(ends, ip+port)
	}
	turns := &inTurn{ends: ends}
	switch c.Mode {
	case "connection":
		return errors.Join(b.front(connectionFront(ctx, frontIP+port, straight(turns.next), nil)),
			b.resolve(ctx, c, atTheFront()))
	case "roam":
		return errors.Join(b.front(connectionFront(ctx, frontIP+port, turns.roaming, nil)),
			b.resolve(ctx, c, atTheFront()))
	case "request":
		return errors.Join(b.front(requestFront(ctx, frontIP+port, turns.next)), b.resolve(ctx, c, atTheFront()))
	case "dns-alternate":
		return b.resolve(ctx, c, alternately(ips))
	case "dns-random":
		return b.resolve(ctx, c, atRandom(ips))
	}
	var slowed []string
	for i, end := range ends {
		ip := fmt.Sprintf("127.0.4.%d", i+1)
		slowed = append(slowed, ip)
		if err := b.front(connectionFront(ctx, ip+port, func() way { return way{end: end} }, slow)); err != nil {
			return err
		}
	}
	return b.resolve(ctx, c, flipping(slowed))
}

func (b *bench) front(stop func(), err error) error {
	if err == nil {
		b.add(stop)
	}
	return err
}

// dnsmasqBest: of all that dnsmasq offers this alone holds answers longer than their TTL says. An hour is its limit.
const dnsmasqBest = "--min-cache-ttl=3600"

// resolve makes the answers those of the resolver, or of the server behind it.
func (b *bench) resolve(ctx context.Context, c cell, a answers) error {
	if !c.dnsmasq() {
		return b.front(serveDNS(ctx, resolver, a))
	}
	if err := b.front(serveDNS(ctx, behind, a)); err != nil {
		return err
	}
	ip, _, _ := strings.Cut(resolver, ":")
	upstream, _, _ := strings.Cut(behind, ":")
	args := []string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--log-facility=-", // plumbing
		"--no-hosts", "--no-resolv", "--listen-address=" + ip, "--bind-interfaces", "--server=" + upstream,
	}
	if c.Setup == "dnsmasq-best" {
		args = append(args, dnsmasqBest)
	}
	p, err := startProcess(b.file("dnsmasq.log"), b.programs["dnsmasq"].Path, args...)
	if err != nil {
		return err
	}
	b.add(p.kill)
	return p.until(ctx, func() error { return resolves(ctx) })
}

// resolves asks for a name that has no answer, so that none is remembered.
func resolves(ctx context.Context) error {
	_, err := (&net.Resolver{PreferGo: true}).LookupHost(ctx, "ready."+hostname)
	var answer *net.DNSError
	if errors.As(err, &answer) && answer.IsNotFound {
		return nil
	}
	return fmt.Errorf("the resolver does not answer: %w", err)
}
