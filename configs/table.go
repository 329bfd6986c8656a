package configs

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// Bounds of lists and numbers.
const (
	maxListen      = 64
	maxNameservers = 13  // as many as the root has: with glue they fit a UDP answer
	maxAddresses   = 16  // of a replica: more do not fit a UDP answer beside the rest
	maxReplicas    = 256 // of a file
	maxPaths       = 64
	maxFilters     = 256
	maxPatterns    = 256
	maxPeers       = 64
	maxUpstreams   = 64
	maxBandwidth   = 1 << 40 // bytes per second
	maxConcurrency = 64
)

// Bounds of proxy.limits.manifest, in bytes. Registries must take 4 MiB (OCI distribution spec 1.1, "Pushing
// Manifests").
const (
	leastManifest = 1 << 20
	mostManifest  = 64 << 20
)

const noACME = "certificates by ACME come in a later version; name a certificate and a key"

// rule is what one key, or the items of one list, must be.
type rule struct {
	required    bool // in what is around it
	least, most int  // how many items a list has; most 0: any number
	orOne       bool // one text may stand for a list; an empty one is none, and is no item of a list
	emptyIsNone bool // a section that is left empty counts as left out
	secret      bool // no problem may repeat what was written: it may hold a secret, or be one in the place of its file

	private bool // nor is it shown when it is right

	begins   func() any          // what is there before it is read; nil: Go's zero value, or what Config begins with
	take     taker               // how it is read; nil: by its Go type
	distinct func(value any) any // by what a value must differ from all others of its key; nil: it need not

	// check is done once everything is read.
	check func(d *decoder, c *Config, path string, value any)
}

// rules says what keys must be, by their paths without the numbers of items. The fields of Config say which keys there
// are. A key without a row takes any text, true or false, a list or a section, as its field does.
var rules = map[string]rule{
	"hostname": {required: true, take: text(zoneName)},
	"here":     {check: on((*decoder).checkReplicaName)},
	"state":    {take: beside((*decoder).folderName)},

	"dns.listen":        {least: 1, most: maxListen},
	"dns.listen[]":      {take: text(listenAddress)},
	"dns.nameservers":   {most: maxNameservers},
	"dns.nameservers[]": {take: text(fullHostName), distinct: itself, check: on((*decoder).checkNameserver)},
	// RFC 2181 section 8 allows 68 years; an answer that steers clients must be outlived by its reason.
	"dns.ttl": {take: duration(time.Second, 24*time.Hour), check: on((*decoder).checkWholeSeconds)},

	"proxy.listen":            {least: 1, most: maxListen},
	"proxy.listen[]":          {take: text(listenAddress)},
	"proxy.tls":               {check: on((*decoder).checkTLS)},
	"proxy.tls.certificate":   {take: beside((*decoder).fileName)},
	"proxy.tls.key":           {secret: true, take: beside((*decoder).fileName)},
	"proxy.tls.ca[]":          {take: beside((*decoder).fileOrSystem)},
	"proxy.tls.ca":            {orOne: true, check: on((*decoder).checkTrust)},
	"proxy.tls.acme":          {take: notYet(noACME)},
	"proxy.trusted_proxies[]": {take: text(prefix), distinct: itself},
	"proxy.paths":             {most: maxPaths},
	"proxy.paths[]":           {take: text(proxyPath), distinct: itself},
	"proxy.access_log":        {take: beside((*decoder).logName)},
	"proxy.limits.manifest":   {take: size(leastManifest, mostManifest)},
	"proxy.limits.first_byte": {take: duration(500*time.Millisecond, 5*time.Minute)},
	"proxy.limits.lists":      {take: duration(500*time.Millisecond, 10*time.Minute)},
	"proxy.limits.resume":     {take: duration(0, 5*time.Minute)},
	"proxy.limits.silence":    {take: duration(10*time.Second, 24*time.Hour)},
	// 100 for a gateway that a balancer without a PROXY header makes one client of all.
	"proxy.limits.client_share": {take: integer(1, 100)},
	"proxy.limits.hashing":      {take: integer(0, 100)},

	"geo.database":           {orOne: true},
	"geo.database[]":         {take: beside((*decoder).fileName)},
	"geo.networks[].network": {required: true, take: text(prefix), distinct: itself},
	"geo.networks[].place":   {required: true, take: place},
	"place.lat":              {required: true, take: number(90, ruleLatitude)},
	"place.lon":              {required: true, take: number(180, ruleLongitude)},
	"place.name": {take: func(d *decoder, path string, _ *yaml.Node,
		_ any) {
		d.refuse(path, rulePlaceBoth)
	}},

	"lease.idle":  {take: duration(10*time.Second, 24*time.Hour)},
	"lease.owner": {take: text(oneOf(OwnerNearest, OwnerHome))},

	"health":          {check: on((*decoder).checkHealth)},
	"health.interval": {take: duration(time.Second, 10*time.Minute)},
	"health.timeout":  {take: duration(100*time.Millisecond, 10*time.Minute)},
	"health.path":     {take: text(urlPath)},

	"replicas":   {required: true, least: 1, most: maxReplicas, check: on((*decoder).checkHome)},
	"replicas[]": {begins: newReplica, check: on((*decoder).checkUpstreamTLS)},
	"replicas[].name": {required: true, take: text(replicaName), distinct: itself,
		check: on((*decoder).checkNameLength)},
	"replicas[].place":       {required: true, take: place},
	"replicas[].addresses":   {required: true, least: 1, most: maxAddresses},
	"replicas[].addresses[]": {take: text(frontAddress), distinct: itself},
	"replicas[].upstream": {required: true, take: text(upstream), distinct: endpointOf,
		check: on((*decoder).checkUpstream)},
	"replicas[].state":              {take: text(oneOf(StateOnline, StateDrain, StateOffline))},
	"replicas[].storage":            {take: text(storageName)},
	"replicas[].host":               {take: text(hostHeader)},
	"replicas[].ca":                 {orOne: true},
	"replicas[].ca[]":               {take: beside((*decoder).fileOrSystem)},
	"replicas[].client_certificate": {take: beside((*decoder).fileName)},
	"replicas[].client_key":         {secret: true, take: beside((*decoder).fileName)},
	"replicas[].credentials": {secret: true, take: beside((*decoder).fileName),
		check: on((*decoder).checkCredentials)},
	"replicas[].bias": {take: number(1000, ruleBias)},

	"cluster":         {emptyIsNone: true, begins: newCluster, check: on((*decoder).checkCluster)},
	"cluster.listen":  {take: text(listenAddress)},
	"cluster.peers":   {least: 1, most: maxPeers},
	"cluster.peers[]": {take: text(peerAddress), distinct: itself},
	"cluster.key":     {secret: true, take: beside((*decoder).fileName)},
	"cluster.name":    {take: text(lowerCaseLabel)},

	"replication.bandwidth":                {take: integer[int64](0, maxBandwidth)},
	"replication.concurrency":              {take: integer(1, maxConcurrency)},
	"replication.unrecorded":               {take: text(oneOf(UnrecordedRefuse, UnrecordedAccept))},
	"replication.filters":                  {most: maxFilters},
	"replication.filters[].replica":        {check: on((*decoder).checkReplicaName)},
	"replication.filters[].repositories":   {required: true, least: 1, most: maxPatterns},
	"replication.filters[].repositories[]": {take: text(repositoryPattern)},

	"webhooks":            {secret: true, most: subscription.MaxSubscriptions},
	"webhooks[]":          {secret: true, begins: newWebhook},
	"webhooks[].name":     {required: true, take: passes(subscription.CheckName, ruleWebhookName), distinct: lowerCase},
	"webhooks[].location": {check: on((*decoder).checkReplicaName)},
	"webhooks[].actions": {required: true, least: 1, most: len(subscription.Actions()),
		check: on((*decoder).checkActions)},
	"webhooks[].actions[]": {take: text(oneOf(subscription.Actions()...))},
	"webhooks[].scope":     {take: passes(subscription.CheckScope, ruleScope)},
	// With many receivers it is all that it takes.
	"webhooks[].uri":     {required: true, secret: true, private: true, take: text(webhookURI)},
	"webhooks[].headers": {secret: true, private: true, take: headers, check: on((*decoder).checkHeaders)},
	"webhooks[].secret":  {secret: true, private: true, take: passes(subscription.CheckSecret, ruleSecret)},
	"webhooks[].status":  {take: text(oneOf(subscription.Enabled, subscription.Disabled))},
	"webhooks_ca[]":      {take: beside((*decoder).fileOrSystem)},
	"webhooks_ca":        {orOne: true, check: on((*decoder).checkTrust)},

	"settings.overlay": {take: text(oneOf(OverlayAllow, OverlayDeny))},

	"admin.listen":      {take: text(adminAddress)},
	"admin.upstreams":   {most: maxUpstreams},
	"admin.upstreams[]": {take: text(allowedHost), distinct: itself},
}

// on makes a check of one that wants its value's own type.
func on[T any](check func(d *decoder, c *Config, path string, value T)) func(*decoder, *Config, string, any) {
	return func(d *decoder, c *Config, path string, value any) { check(d, c, path, value.(T)) }
}

// itself has values compared as they are.
func itself(value any) any { return value }

// lowerCase has texts compared without regard to case.
func lowerCase(value any) any { return strings.ToLower(value.(string)) }

// endpointOf has URLs compared by where connections to them go.
func endpointOf(value any) any { return endpoint(value.(*url.URL)) }

func newReplica() any { return Replica{State: StateOnline, Write: true} }

func newWebhook() any { return subscription.Subscription{Status: subscription.Enabled} }

func newCluster() any {
	return &Cluster{Listen: net.JoinHostPort("", strconv.Itoa(clusterPort)), Name: machineName()}
}
