// Package configs is the file that an operator writes: its schema, its defaults and its rules.
// Whatever is wrong with a file is reported at once, each problem with its line, field, value and rule.
package configs

import (
	"crypto/x509"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// Values of Replica.State: the operator's word, which beats the probes.
const (
	StateOnline  = "online"
	StateDrain   = "drain"   // finish what is leased, start nothing
	StateOffline = "offline" // send nothing there

	// StateLeaving is of a replica that a running gateway's file has no more. No file says it.
	StateLeaving = "leaving"
)

// Values of Lease.Owner: which replica a new push is given to.
const (
	OwnerNearest = "nearest" // the one nearest to the client that writes first
	OwnerHome    = "home"    // always the home replica
)

// Config is a complete file that has passed every rule, with defaults filled in and file names resolved.
// It is not changed after Load or Parse, except by SetHere before it is handed out.
type Config struct {
	File     string // as given to Load or Parse
	Hostname string `yaml:"hostname"` // lower case, without a trailing dot
	DNS      DNS    `yaml:"dns"`
	// Here is the name of the replica beside this gateway; empty: it stands in no region
	Here        string                      `yaml:"here"`
	Proxy       Proxy                       `yaml:"proxy"`
	Geo         Geo                         `yaml:"geo"`
	Lease       Lease                       `yaml:"lease"`
	Health      Health                      `yaml:"health"`
	State       string                      `yaml:"state"` // folder for what must outlive a restart; empty: it does not
	Replicas    []Replica                   `yaml:"replicas"`
	Cluster     *Cluster                    `yaml:"cluster"` // nil: this gateway is alone
	Replication Replication                 `yaml:"replication"`
	Webhooks    []subscription.Subscription `yaml:"webhooks"`
	Admin       Admin                       `yaml:"admin"`
	Settings    Settings                    `yaml:"settings"`

	// WebhooksPrivate lets webhooks reach receivers on loopback and in private networks.
	WebhooksPrivate bool           `yaml:"webhooks_private"`
	WebhooksCA      keyfiles.Trust `yaml:"webhooks_ca"` // of receivers

	written map[string]written // by field path
	disk    bool               // what Load read, and may be read again
	source  *Source            // what it was read from
	over    *Layer             // what lies over that; nil: nothing
	told    bool               // Here was set by SetHere, whatever the file says
	leaf    *x509.Certificate  // of Proxy.TLS when the file was read; nil without
}

// DNS says where names are answered and what the answers carry.
type DNS struct {
	Listen      []string      `yaml:"listen"`      // host:port with an IP address or no host
	Nameservers []string      `yaml:"nameservers"` // lower case, without a trailing dot
	TTL         time.Duration `yaml:"ttl"`         // whole seconds, 1s to 24h; a ceiling
}

// Proxy is the clients' listener.
type Proxy struct {
	Listen         []string       `yaml:"listen"` // host:port with an IP address or no host
	TLS            *TLS           `yaml:"tls"`    // nil: clear text
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
	Paths          []string       `yaml:"paths"` // absolute, clean, outside /v2/; with /* at its end all below
	Limits         Limits         `yaml:"limits"`
	AccessLog      string         `yaml:"access_log"` // a file, or AccessLogStdout; empty: there is none
}

// AccessLogStdout is the value of Proxy.AccessLog that stands for standard output.
const AccessLogStdout = "stdout"

// Limits bound what one request may take. Every one has a default that suits most registries.
type Limits struct {
	Manifest int64 `yaml:"manifest"` // bytes of a manifest, 1 MiB to 64 MiB; a larger one is refused
	// until a read is answered, or asked of the next replica, too; 500ms to 5m
	FirstByte time.Duration `yaml:"first_byte"`
	Lists     time.Duration `yaml:"lists"`   // the same for lists of tags and repositories, 500ms to 10m
	Resume    time.Duration `yaml:"resume"`  // that the rest of a blob is asked for elsewhere, 0 (not) to 5m
	Silence   time.Duration `yaml:"silence"` // of a client in the middle of a body, 10s to 24h
	// of connections and of requests under way that one client may have, in percent, 1 to 100
	ClientShare int `yaml:"client_share"`
	Hashing     int `yaml:"hashing"` // of one core, for comparing blobs with their digests, in percent, 0 to 100
}

// TLS names the files of the clients' listener. They loaded as a pair when the file was read.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// CA is of fronts, where gateways reach one another; empty: the system's, and Certificate
	CA   keyfiles.Trust `yaml:"ca"`
	ACME struct{}       `yaml:"acme"` // for a later version
}

// Geo is how addresses are placed.
type Geo struct {
	Databases []string  `yaml:"database"` // file names of .mmdb files; none: the table that is built in
	Networks  []Network `yaml:"networks"`
}

// Network places a prefix by hand; it is known better than any database.
type Network struct {
	Network netip.Prefix `yaml:"network"` // masked, IPv4 where it was IPv4-mapped
	Place   Place        `yaml:"place"`
}

// Place is a point on the map.
type Place struct {
	Name    string // empty when given as {lat, lon}
	Country string // ISO 3166-1 alpha-2; empty when given as {lat, lon}
	Point   geo.Point
}

// Lease governs how long a repository's writes stay with one replica.
type Lease struct {
	Idle  time.Duration `yaml:"idle"`  // quiet time after which a lease ends, 10s to 24h
	Owner string        `yaml:"owner"` // OwnerNearest or OwnerHome
}

// Health is how replicas are probed.
type Health struct {
	Interval time.Duration `yaml:"interval"` // 1s to 10m
	Timeout  time.Duration `yaml:"timeout"`  // at most Interval
	Path     string        `yaml:"path"`     // absolute
	Fronts   bool          `yaml:"fronts"`   // probe Replica.Addresses too, at the proxy's port and scheme
	Write    bool          `yaml:"write"`    // probe writing, too: an upload is opened and cancelled
}

// Replica is one regional registry.
type Replica struct {
	Name      string       `yaml:"name"`
	Place     Place        `yaml:"place"`
	Addresses []netip.Addr `yaml:"addresses"` // what DNS answers: 1 to 16, unmapped
	Upstream  *url.URL     `yaml:"upstream"`  // scheme and host only
	Home      bool         `yaml:"home"`
	State     string       `yaml:"state"` // StateOnline, StateDrain or StateOffline; in a running gateway StateLeaving, too
	Write     bool         `yaml:"write"` // false: a read-only replica
	// Storage: replicas that bear the same have the same content; "" is the replica's own
	Storage string         `yaml:"storage"`
	Host    string         `yaml:"host"` // Host to send upstream; empty: the client's own
	CA      keyfiles.Trust `yaml:"ca"`   // of Upstream, and of where it leads for tokens and blobs
	// Credentials is a docker config.json with the login for what is done there in the gateway's own name; empty: none
	Credentials string  `yaml:"credentials"`
	Bias        float64 `yaml:"bias"` // milliseconds added to the expected round-trip time, -1000 to 1000

	ClientCertificate string `yaml:"client_certificate"` // a file, as ClientKey; both or neither
	ClientKey         string `yaml:"client_key"`
}

// Cluster is how gateways find each other.
type Cluster struct {
	Listen string   `yaml:"listen"` // host:port with an IP address or no host, for UDP and TCP
	Name   string   `yaml:"name"`   // a DNS label, unique among them
	Peers  []string `yaml:"peers"`  // host:port, 1 to 64
	Key    string   `yaml:"key"`    // file name; empty only where all addresses are loopback.
}

// Values of Replication.Unrecorded: what becomes of a push while the ledger in State cannot be written.
const (
	UnrecordedRefuse = "refuse"
	UnrecordedAccept = "accept" // it may not be copied, nor be known to be newer than what was there before
)

// Replication is how what was pushed to one replica comes to all others.
type Replication struct {
	Bandwidth   int64    `yaml:"bandwidth"`   // bytes per second to one replica; 0: no bound
	Concurrency int      `yaml:"concurrency"` // images, and blobs, at a time to one replica, 1 to 64
	Filters     []Filter `yaml:"filters"`
	Unrecorded  string   `yaml:"unrecorded"` // UnrecordedRefuse or UnrecordedAccept
}

// Filter leaves repositories out of what is copied.
type Filter struct {
	Replica      string   `yaml:"replica"`      // empty: every one
	Repositories []string `yaml:"repositories"` // names, or beginnings that end in *
}

// LeavesOut reports whether the filter keeps a repository from a replica.
func (f Filter) LeavesOut(replica, repository string) bool {
	if f.Replica != "" && f.Replica != replica {
		return false
	}
	for _, pattern := range f.Repositories {
		beginning, open := strings.CutSuffix(pattern, "*")
		if repository == pattern || open && strings.HasPrefix(repository, beginning) {
			return true
		}
	}
	return false
}

// Values of Settings.Overlay: whether commands may change what a file declares.
const (
	OverlayAllow = "allow"
	OverlayDeny  = "deny"
)

// Settings is how what people change by command goes with the file.
type Settings struct {
	Overlay string `yaml:"overlay"` // OverlayAllow or OverlayDeny
}

// Admin is the operators' listener.
type Admin struct {
	Listen string `yaml:"listen"` // host:port on loopback
	// Upstreams are hosts that commands may give a replica: a name, an address, or all below .NAME; none: no command may
	Upstreams []string `yaml:"upstreams"`
}

// AllowsUpstream reports whether a command may have this URL be the upstream of a replica.
func (a Admin) AllowsUpstream(upstream string) bool {
	u, err := url.Parse(upstream)
	return err == nil && slices.ContainsFunc(a.Upstreams, func(allowed string) bool {
		host := strings.ToLower(u.Hostname())
		return host == allowed || strings.HasPrefix(allowed, ".") && strings.HasSuffix(host, allowed)
	})
}
