package gateway

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
)

// TestKeysReachTheirParts: another value of a key is another setting of the part that goes by it, and of no other. What
// a part does about other settings, its own tests say.
func TestKeysReachTheirParts(t *testing.T) {
	t.Parallel()
	echo := echoes(t, "west")
	r := run(t, echo.URL)
	keyfilestest.WritePair(r.dir, "trust")
	const (
		clients = "clients"
		ways    = "ways"
		copies  = "copies"
		hooks   = "hooks"
		records = "records"
		share   = "share of connections"
	)
	parts := func(c *configs.Config) map[string]any {
		r.apply(c)
		w, err := waysOf(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		h, err := hookSettings(c)
		if err != nil {
			t.Fatal(err)
		}
		s := r.clientSettings(c)
		s.AccessLog, s.Own = nil, nil
		return map[string]any{
			clients: s, ways: w.MaxManifest, copies: copyingSettings(c), records: r.acceptsUnrecorded(),
			hooks: []any{h.InFile, h.AllowPrivate, h.TLS.VerifyConnection != nil}, share: clientShare(c),
		}
	}
	base := r.base
	file := func(text string) *configs.Config {
		r.base = base
		if !strings.HasPrefix(text, ", ") {
			r.base, text = base+text+"\n", ""
		}
		return r.file(echo.URL, "", text)
	}
	hook := func(with string) string {
		return "webhooks: [{name: alpha, uri: 'https://a.example', actions: [push]" + with + "}]"
	}
	for _, test := range []struct {
		key, was, is string
		parts        []string
	}{
		{"proxy.limits.manifest", "", ", limits: {manifest: 5MiB}", []string{clients, ways}},
		{"proxy.limits.first_byte", "", ", limits: {first_byte: 11s}", []string{clients}},
		{"proxy.limits.lists", "", ", limits: {lists: 41s}", []string{clients}},
		{"proxy.limits.resume", "", ", limits: {resume: 21s}", []string{clients}},
		{"proxy.limits.silence", "", ", limits: {silence: 91s}", []string{clients}},
		{"proxy.limits.client_share", "", ", limits: {client_share: 30}", []string{clients, share}},
		{"proxy.limits.hashing", "", ", limits: {hashing: 7}", []string{clients}},
		{"lease.owner", "", "lease: {owner: home}", []string{clients}},
		{"lease.idle", "", "lease: {idle: 3m}", []string{clients}},
		{"replication.bandwidth", "", "replication: {bandwidth: 10485760}", []string{copies}},
		{"replication.concurrency", "", "replication: {concurrency: 7}", []string{copies}},
		{"replication.unrecorded", "", "replication: {unrecorded: accept}", []string{records}},
		{"replication.filters[]", "", "replication: {filters: [{repositories: [a/*]}]}", []string{copies}},
		{"replication.filters[].replica", "replication: {filters: [{repositories: [a]}]}",
			"replication: {filters: [{replica: west, repositories: [a]}]}", []string{copies}},
		{"replication.filters[].repositories", "replication: {filters: [{repositories: [a]}]}",
			"replication: {filters: [{repositories: [b]}]}", []string{copies}},
		{"webhooks[]", "", hook(""), []string{hooks}},
		{"webhooks[].location", hook(""), hook(", location: west"), []string{hooks}},
		{"webhooks[].actions", hook(""), strings.Replace(hook(""), "push", "delete", 1), []string{hooks}},
		{"webhooks[].uri", hook(""), strings.Replace(hook(""), "a.example", "b.example", 1), []string{hooks}},
		{"webhooks[].headers", hook(""), hook(", headers: {X-One: two}"), []string{hooks}},
		{"webhooks[].scope", hook(""), hook(", scope: 'app:*'"), []string{hooks}},
		{"webhooks[].status", hook(""), hook(", status: disabled"), []string{hooks}},
		{"webhooks[].secret", hook(""), hook(", secret: sixteen-bytes-secret"), []string{hooks}},
		{"webhooks_private", hook(""), hook("") + "\nwebhooks_private: true", []string{hooks}},
		{"webhooks_ca", hook(""), hook("") + "\nwebhooks_ca: trust.pem", []string{hooks}},
	} {
		before, after := parts(file(test.was)), parts(file(test.is))
		var changed []string
		for _, part := range []string{clients, copies, hooks, records, share, ways} {
			if !reflect.DeepEqual(before[part], after[part]) {
				changed = append(changed, part)
			}
		}
		if !reflect.DeepEqual(changed, test.parts) {
			t.Errorf("%s: %v, want %v", test.key, changed, test.parts)
		}
	}
}
