package configs

import (
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/geo"
	"go.yaml.in/yaml/v4"
)

// config takes the whole file. Its keys stand in the order in which the documentation shows them.
func (d *decoder) config(root *yaml.Node) *Config {
	c := defaults(d.file)
	d.mapping("", root, fields{
		"hostname":    parsed(d, &c.Hostname, zoneName),
		"dns":         d.dns(&c.DNS),
		"here":        parsed(d, &c.Here, anyText),
		"proxy":       d.proxy(&c.Proxy),
		"geo":         d.geo(&c.Geo),
		"lease":       d.lease(&c.Lease),
		"health":      d.health(&c.Health),
		"state":       parsed(d, &c.State, d.folderName),
		"replicas":    d.replicas(&c.Replicas),
		"cluster":     d.cluster(&c.Cluster),
		"replication": d.replication(&c.Replication),
		"webhooks":    d.webhooks(&c.Webhooks),
		"admin":       d.section(fields{"listen": parsed(d, &c.Admin.Listen, adminAddress)}),

		"webhooks_private": d.flag(&c.WebhooksPrivate),
		"webhooks_ca":      d.trust(&c.WebhooksCA),
	})
	return c
}

func (d *decoder) dns(to *DNS) field {
	return d.section(fields{
		"listen":      listOf(d, &to.Listen, listenAddress),
		"nameservers": listOf(d, &to.Nameservers, fullHostName),
		// RFC 2181 section 8 allows 68 years; an answer that steers clients must be outlived by its reason.
		"ttl": d.duration(&to.TTL, time.Second, 24*time.Hour),
	})
}

func (d *decoder) proxy(to *Proxy) field {
	return d.section(fields{
		"listen":          listOf(d, &to.Listen, listenAddress),
		"tls":             d.tls(&to.TLS),
		"trusted_proxies": listOf(d, &to.TrustedProxies, prefix),
		"paths":           listOf(d, &to.Paths, proxyPath),
		"limits":          d.limits(&to.Limits),
	})
}

// tls without anything in it is refused: a listener must not fall back to clear text because the lines below the
// key were commented out.
func (d *decoder) tls(to **TLS) field {
	return func(path string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			d.refuse(path, fmt.Sprintf(ruleKind, "a mapping", describe(n)))
			return
		}
		*to = &TLS{}
		d.mapping(path, n, fields{
			"certificate": parsed(d, &(*to).Certificate, d.fileName),
			"key":         parsed(d, &(*to).Key, d.fileName),
			"ca":          d.trust(&(*to).CA),
			"acme":        d.later(emptyMapping, "certificates by ACME come in a later version; name a certificate and a key"),
		})
	}
}

func (d *decoder) geo(to *Geo) field {
	return d.section(fields{
		"database": d.oneOrMore(&to.Databases, d.fileName),
		"networks": d.list(
			func(int) { to.Networks = nil },
			func(path string, n *yaml.Node) {
				var network Network
				d.mapping(path, n, fields{
					"network": parsed(d, &network.Network, prefix),
					"place":   d.place(&network.Place),
				})
				to.Networks = append(to.Networks, network)
			}),
	})
}

func (d *decoder) lease(to *Lease) field {
	return d.section(fields{
		"idle":  d.duration(&to.Idle, 10*time.Second, 24*time.Hour),
		"owner": parsed(d, &to.Owner, oneOf(OwnerNearest, OwnerHome)),
	})
}

func (d *decoder) health(to *Health) field {
	return d.section(fields{
		"interval": d.duration(&to.Interval, time.Second, 10*time.Minute),
		"timeout":  d.duration(&to.Timeout, 100*time.Millisecond, 10*time.Minute),
		"path":     parsed(d, &to.Path, urlPath),
		"fronts":   d.flag(&to.Fronts),
	})
}

func (d *decoder) replicas(to *[]Replica) field {
	return d.list(
		func(int) { *to = nil },
		func(path string, n *yaml.Node) {
			r := Replica{State: StateOnline, Write: true}
			d.replica(path, n, &r)
			*to = append(*to, r)
		})
}

func (d *decoder) replica(path string, n *yaml.Node, to *Replica) {
	d.mapping(path, n, fields{
		"name":               parsed(d, &to.Name, replicaName),
		"place":              d.place(&to.Place),
		"addresses":          listOf(d, &to.Addresses, frontAddress),
		"upstream":           parsed(d, &to.Upstream, upstream),
		"home":               d.flag(&to.Home),
		"state":              parsed(d, &to.State, oneOf(StateOnline, StateDrain, StateOffline)),
		"write":              d.flag(&to.Write),
		"storage":            parsed(d, &to.Storage, storageName),
		"host":               parsed(d, &to.Host, hostHeader),
		"ca":                 d.trust(&to.CA),
		"client_certificate": parsed(d, &to.ClientCertificate, d.fileName),
		"client_key":         parsed(d, &to.ClientKey, d.fileName),
		"credentials":        parsed(d, &to.Credentials, d.fileName),
		"bias":               d.number(&to.Bias, within(1000), ruleBias),
	})
}

func (d *decoder) replication(to *Replication) field {
	return d.section(fields{
		"bandwidth":   whole(d, &to.Bandwidth, 0, maxBandwidth),
		"concurrency": whole(d, &to.Concurrency, 1, maxConcurrency),
		"unrecorded":  parsed(d, &to.Unrecorded, oneOf(UnrecordedRefuse, UnrecordedAccept)),
		"filters": d.list(
			func(int) { to.Filters = nil },
			func(path string, n *yaml.Node) {
				var f Filter
				d.mapping(path, n, fields{
					"replica":      parsed(d, &f.Replica, anyText),
					"repositories": listOf(d, &f.Repositories, repositoryPattern),
				})
				to.Filters = append(to.Filters, f)
			}),
	})
}

// place takes the name of a place or {lat, lon}.
func (d *decoder) place(to *Place) field {
	return func(path string, n *yaml.Node) {
		switch {
		case n.Kind == yaml.MappingNode:
			d.point(path, n, to)
		case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str":
			d.namedPlace(path, n.Value, to)
		default:
			d.refuse(path, fmt.Sprintf(rulePlaceKind, describe(n)))
		}
	}
}

func (d *decoder) namedPlace(path, name string, to *Place) {
	place, ok := geo.LookupPlace(name)
	if !ok {
		d.refuse(path, fmt.Sprintf(rulePlace, strings.Join(d.closestPlaces(name), ", ")))
		return
	}
	*to = Place{Name: place.Name, Country: place.Country, Point: place.Point}
}

// closestPlaces compares name with every place, and stops when nobody would be shown the answer.
func (d *decoder) closestPlaces(name string) []string {
	if len(d.problems) == maxProblems {
		return nil
	}
	return geo.ClosestPlaces(name, 3)
}

func (d *decoder) point(path string, n *yaml.Node, to *Place) {
	d.mapping(path, n, fields{
		"lat":  d.number(&to.Point.Lat, within(90), ruleLatitude),
		"lon":  d.number(&to.Point.Lon, within(180), ruleLongitude),
		"name": func(path string, _ *yaml.Node) { d.refuse(path, rulePlaceBoth) },
	})
	d.required(path, "lat", "lon")
}
