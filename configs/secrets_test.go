package configs

import (
	"strings"
	"testing"
)

// TestNoSecretIsShown: what is wrong with a file is put into tickets. Where a secret stands, or may stand by mistake,
// the problem has its line and rule, and not what was written.
func TestNoSecretIsShown(t *testing.T) {
	const (
		upstream = `, upstream: "https://registry.westus.internal"`
		hook     = "webhooks:\n  - {name: ciBuilds, uri: \"http://h/x\", actions: [push], "
	)
	for _, test := range []struct{ name, replica, rest string }{
		{"a login in an upstream", `, upstream: "https://user:CANARY@h"`, ""},
		{"a login in an upstream that is no URL", `, upstream: "user:CANARY@h"`, ""},
		{"a query of an upstream", `, upstream: "https://h?key=CANARY"`, ""},
		{"a password in the place of its file", upstream + `, credentials: "user:CANARY"`, ""},
		{"a key in the place of its file", upstream + `, client_key: "-----BEGIN CANARY"`, ""},
		{"a cluster's key in the place of its file", upstream, `cluster: {peers: [a.contoso.com], key: "CANARY="}`},
		{"a key of TLS in the place of its file", upstream, `proxy: {tls: {certificate: a.pem, key: CANARY}}`},
		{"a webhook's address", upstream, `webhooks: ["https://h/CANARY"]`},
		{"a webhook's address without a list", upstream, `webhooks: https://h/CANARY`},
		{"an address that is none", upstream, `webhooks: [{name: ciBuilds, uri: "ftp://h/CANARY", actions: [push]}]`},
		{"a secret that is too short", upstream, hook + `secret: CANARY}`},
		{"a secret under a wrong key", upstream, hook + `sercet: CANARY}`},
		{"headers that are text", upstream, hook + `headers: "Authorization: CANARY"}`},
		{"a header that is a key", upstream, hook + `headers: {"Authorization: CANARY": ""}}`},
		{"a header that is a key, and whose value is wrong", upstream, hook + `headers: {"A: CANARY": []}}`},
		{"a header's value", upstream, hook + `headers: {Authorization: "CANARY\n"}}`},
		{"a database's address", upstream, `geo: {database: "https://user:CANARY@h/x"}`},
	} {
		_, err := Parse("f.yaml", []byte("hostname: registry.contoso.com\nreplicas:\n  - {name: westus, "+
			"place: azure/westus, addresses: [203.0.113.10]"+test.replica+"}\n"+test.rest+"\n"))
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
