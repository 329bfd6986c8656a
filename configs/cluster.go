package configs

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

const clusterPort = 7946

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

func (d *decoder) checkCluster(_ *Config, path string, c *Cluster) {
	d.filled(path+".name", c.Name)
	path += ".key"
	if c.Key == "" {
		if !c.onLoopback() {
			d.problem(path, ruleNeedsKey)
		}
		return
	}
	if data, ok := d.content(path, c.Key); ok {
		if _, err := keyfiles.ParseClusterKeys(data); err != nil {
			d.problem(path, fmt.Sprintf(ruleKeys, err))
		}
	}
}

// onLoopback reports whether nothing of the cluster leaves the machine. A name may: what it resolves to can change.
func (c *Cluster) onLoopback() bool {
	return !slices.ContainsFunc(append([]string{c.Listen}, c.Peers...), func(address string) bool {
		host, _ := hostPort(address)
		return !host.IsLoopback()
	})
}
