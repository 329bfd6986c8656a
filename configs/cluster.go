package configs

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-gateway/fairlead/keyfiles"
	"go.yaml.in/yaml/v4"
)

const (
	maxPeers    = 64
	clusterPort = 7946
)

// cluster takes the section; left empty it is the same as left out.
func (d *decoder) cluster(to **Cluster) field {
	return func(path string, n *yaml.Node) {
		if isNull(n) || emptyMapping(n) {
			return
		}
		*to = &Cluster{Listen: net.JoinHostPort("", strconv.Itoa(clusterPort)), Name: machineName()}
		d.mapping(path, n, fields{
			"listen": parsed(d, &(*to).Listen, listenAddress),
			"peers":  listOf(d, &(*to).Peers, peerAddress),
			"key":    parsed(d, &(*to).Key, d.fileName),
			"name":   parsed(d, &(*to).Name, memberName),
		})
	}
}

// machineName is the first label of the machine's host name, "" if it has none that would do.
func machineName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	if !isLabel(name) {
		return ""
	}
	return name
}

func memberName(s string) (string, string) {
	if !isLabel(s) || s != strings.ToLower(s) {
		return "", ruleName
	}
	return s, ""
}

// peerAddress takes another gateway's host or host:port and returns host:port.
func peerAddress(s string) (string, string) {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return peer(addr.String(), clusterPort)
	}
	host, portText, err := net.SplitHostPort(s)
	if err != nil {
		return peer(s, clusterPort)
	}
	port, ok := portNumber(portText)
	if !ok {
		return "", rulePort
	}
	return peer(host, port)
}

func peer(host string, port uint16) (string, string) {
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil && (addr.Zone() != "" || !isUnicast(addr.Unmap())):
		return "", rulePeer
	case err == nil:
		host = addr.Unmap().String()
	default:
		name, rule := hostName(host)
		if rule != "" || endsInNumber(name) {
			return "", rulePeer
		}
		host = name
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), ""
}

func (d *decoder) checkCluster(c *Cluster) {
	if c == nil || d.unread["cluster"] {
		return
	}
	d.count("cluster.peers", len(c.Peers), 1, maxPeers)
	first := map[string]string{}
	for i, p := range c.Peers {
		distinct(d, first, p, item("cluster.peers", i))
	}
	d.filled("cluster.name", c.Name)
	switch {
	case c.Key != "":
		d.checkKeys(c.Key)
	case !c.onLoopback():
		d.problem("cluster.key", ruleNeedsKey)
	}
}

// onLoopback reports whether nothing of the cluster leaves the machine. A name may: what it resolves to can change.
func (c *Cluster) onLoopback() bool {
	return !slices.ContainsFunc(append([]string{c.Listen}, c.Peers...), func(address string) bool {
		host, _ := hostPort(address)
		return !host.IsLoopback()
	})
}

func (d *decoder) checkKeys(name string) {
	data, ok := d.content("cluster.key", name)
	if !ok {
		return
	}
	if _, err := keyfiles.ParseClusterKeys(data); err != nil {
		d.problem("cluster.key", fmt.Sprintf(ruleKeys, err))
	}
}
