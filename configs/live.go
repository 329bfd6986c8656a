package configs

import (
	"maps"
	"reflect"
	"strings"
)

// Verdicts on a key: whether what is written there counts in a running gateway at once, or from its next start.
const (
	live    = false
	restart = true
)

// restarts has a verdict for each key, by the paths that rules are by. A listener is bound once. Gateways know each
// other, and clients this one, by names that do not change under them; what is in `state` is open. Of a section that is
// left out as a whole the verdict is about whether it is there.
var restarts = map[string]bool{
	"hostname":        restart,
	"here":            restart,
	"state":           restart,
	"dns.listen":      restart,
	"dns.nameservers": live,
	"dns.ttl":         live,

	"proxy.listen":              restart,
	"proxy.tls":                 restart,
	"proxy.tls.certificate":     live,
	"proxy.tls.key":             live,
	"proxy.tls.ca":              live,
	"proxy.tls.acme":            live,
	"proxy.trusted_proxies":     live,
	"proxy.paths":               live,
	"proxy.access_log":          live,
	"proxy.limits.manifest":     live,
	"proxy.limits.first_byte":   live,
	"proxy.limits.lists":        live,
	"proxy.limits.resume":       live,
	"proxy.limits.silence":      live,
	"proxy.limits.client_share": live,
	"proxy.limits.hashing":      live,

	"geo.database":           live,
	"geo.networks[]":         live,
	"geo.networks[].network": live,
	"geo.networks[].place":   live,

	"lease.idle":  live,
	"lease.owner": live,

	"health.interval": live,
	"health.timeout":  live,
	"health.path":     live,
	"health.fronts":   live,
	"health.write":    live,

	"replicas[]":                    live,
	"replicas[].name":               live,
	"replicas[].place":              live,
	"replicas[].addresses":          live,
	"replicas[].upstream":           live,
	"replicas[].home":               live,
	"replicas[].state":              live,
	"replicas[].write":              live,
	"replicas[].storage":            live,
	"replicas[].host":               live,
	"replicas[].ca":                 live,
	"replicas[].credentials":        live,
	"replicas[].bias":               live,
	"replicas[].client_certificate": live,
	"replicas[].client_key":         live,

	"cluster":        restart,
	"cluster.listen": restart,
	"cluster.name":   restart,
	"cluster.peers":  live,
	"cluster.key":    live,

	"replication.bandwidth":              live,
	"replication.concurrency":            live,
	"replication.unrecorded":             live,
	"replication.filters[]":              live,
	"replication.filters[].replica":      live,
	"replication.filters[].repositories": live,

	"webhooks[]":          live,
	"webhooks[].name":     live,
	"webhooks[].location": live,
	"webhooks[].actions":  live,
	"webhooks[].uri":      live,
	"webhooks[].headers":  live,
	"webhooks[].scope":    live,
	"webhooks[].status":   live,
	"webhooks[].secret":   live,
	"webhooks_private":    live,
	"webhooks_ca":         live,

	"settings.overlay": live,

	"admin.listen":    restart,
	"admin.upstreams": live,
}

// NeedsRestart reports whether a running gateway goes on without what is written in a field, such as
// replicas[westus].bias, until it is started again.
func NeedsRestart(field string) bool { return restarts[keyOf(field)] }

// keyOf is the row of a field: without what stands in brackets.
func keyOf(field string) string {
	var key strings.Builder
	for {
		before, after, found := strings.Cut(field, "[")
		key.WriteString(before)
		if !found {
			return key.String()
		}
		key.WriteString("[]")
		_, field, _ = strings.Cut(after, "]")
	}
}

// Applicable is a file as a running gateway can take it: next, with all that takes a restart as in c, which is in
// force. Neither is changed.
func (c *Config) Applicable(next *Config) *Config {
	out := *next
	out.written, out.told = maps.Clone(next.written), c.told
	out.keep("", "", reflect.ValueOf(c).Elem(), reflect.ValueOf(&out).Elem())
	if now, next := c.Cluster, out.Cluster; now != nil && next != nil && begins(now.Key, next.Key) {
		next.Key = now.Key
		out.kept("cluster.key")
	}
	if (c.Proxy.TLS == nil) != (next.Proxy.TLS == nil) {
		out.leaf = c.leaf
	}
	return &out
}

// begins reports whether a key begins or ends to be set: members cannot begin to encrypt one by one.
func begins(was, is string) bool { return (was == "") != (is == "") }

// keep takes over what takes a restart. No such key is in a list.
func (c *Config) keep(path, key string, now, next reflect.Value) {
	sections := map[string]reflect.Value{}
	for name, value := range keysOf(next) {
		sections[name] = value
	}
	for name, value := range keysOf(now) {
		at, row, to := join(path, name), below(key, name), sections[name]
		changed := !reflect.DeepEqual(value.Interface(), to.Interface())
		switch kind := value.Kind(); {
		case kind == reflect.Pointer && value.IsNil() != to.IsNil():
			if restarts[row] {
				to.Set(value)
				c.kept(at)
			}
		case kind == reflect.Pointer && !value.IsNil():
			of := reflect.New(to.Type().Elem())
			of.Elem().Set(to.Elem())
			to.Set(of)
			c.keep(at, row, value.Elem(), of.Elem())
		case restarts[row]:
			to.Set(value)
			if changed {
				c.kept(at)
			}
		case kind == reflect.Struct:
			c.keep(at, row, value, to)
		}
	}
}

// kept forgets where a value was written that is not what is in force.
func (c *Config) kept(path string) {
	for at := range c.written {
		if at == path || strings.HasPrefix(at, path+".") || strings.HasPrefix(at, path+"[") {
			delete(c.written, at)
		}
	}
	c.written[path] = written{value: keptValue}
}

// keptValue marks a field whose value in force is that of the last start.
const keptValue = "\x00kept"
