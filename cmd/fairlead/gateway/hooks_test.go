package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/notify/webhook"
)

func digest(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// TestHooksAreTold: what a gateway records, and hears from another one, its subscribers are told of.
func TestHooksAreTold(t *testing.T) {
	c, err := configs.Parse(filepath.Join(t.TempDir(), "fairlead.yaml"), []byte(`
hostname: registry.contoso.com
webhooks: [{name: hook1, uri: "http://127.0.0.1:1", actions: [push, replicated]}]
replicas:
  - {name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "http://west.internal", home: true}
  - {name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: "http://east.internal"}
`))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	l, err := openLedger(c, log)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h, err := openHooks(c, "v0", l, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.notifier.Run(ctx)
	told := func(want string) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			list, err := h.ListEvents("hook1")
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if content := string(d.Request.Content); strings.Contains(content, `"action":"`+want+`"`) {
					if !strings.Contains(content, "docker/27") {
						t.Errorf("told %s", content)
					}
					return
				}
			}
		}
		t.Fatalf("nobody is told of %s", want)
	}
	what := ledger.Reference{Repository: "app", Name: "v1"}
	by := ledger.Request{Host: "registry.contoso.com", Method: "PUT", UserAgent: "docker/27"}
	e, err := l.Push(what, ledger.Content{Digest: digest(1), Size: 1}, "west", by)
	if err != nil {
		t.Fatal(err)
	}
	told("push")
	other, err := ledger.Open("", "other", []string{"west", "east"}, time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	learn(t, other, l)
	if err := other.Confirm(e, "east"); err != nil {
		t.Fatal(err)
	}
	learn(t, l, other)
	told("replicated")
}

// learn has a ledger know what another one does.
func learn(t *testing.T, l, from *ledger.Ledger) {
	t.Helper()
	have, err := l.Vector()
	if err != nil {
		t.Fatal(err)
	}
	page, err := from.Since(have, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Learn(page); err != nil {
		t.Fatal(err)
	}
}

// A push is copied to who takes writes and is not left out.
func TestTakers(t *testing.T) {
	c, err := configs.Parse(filepath.Join(t.TempDir(), "fairlead.yaml"), []byte(`
hostname: registry.contoso.com
replication: {filters: [{replica: east, repositories: [private/*]}]}
replicas:
  - {name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "http://west.internal", home: true}
  - {name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: "http://east.internal"}
  - {name: closed, place: azure/westeurope, addresses: [127.0.0.4], upstream: "http://closed.internal", write: false}
  - {name: gone, place: azure/westeurope, addresses: [127.0.0.5], upstream: "http://gone.internal", state: offline}
`))
	if err != nil {
		t.Fatal(err)
	}
	takers := takersOf(c)
	for repository, want := range map[string][]string{"app": {"west", "east"}, "private/app": {"west"}} {
		if got := takers(repository); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", repository, got, want)
		}
	}
}

// The file and the queue have the same rules, though they do not know each other.
func TestWebhookRulesAgree(t *testing.T) {
	long := strings.Repeat("a", 3000)
	for _, field := range []struct {
		key    string
		values []string
		set    func(*webhook.Subscription, string)
	}{
		{"name", []string{"", "hook", "hook1", "my-hook", "Hook1", long[:50], long[:51], "höök1"}, func(s *webhook.Subscription, v string) { s.Name = v }},
		{"scope", []string{
			"", "app", "app:*", "app:v1", "*", "a/b:v1", "a//b", "/a", "a/", "App", "app:", "app:v 1", "app:.v1", "a__b", "a___b", "a--b", "a.b", "a..b",
			long[:255], long[:256], "a:" + long[:128], "a:" + long[:129],
		}, func(s *webhook.Subscription, v string) { s.Scope = v }},
		{"uri", []string{
			"", "http://a", "https://a.b:8443/c?d=e", "http://[2001:db8::1]:80/", "a", "//a", "ftp://a", "http:", "http:///a", "http:a", "http://:80", "http://u@a",
			"http://u:p@a", "http://a:0", "http://a:65535", "http://a:65536", "http://a:b", "http://a:", "http://a b", "http://a/#b", "http://[fe80::1%25eth0]/",
			"http://[::1", "http://a/\n", "http://" + long, "http://" + long[:2041], "http://" + long[:2042],
		}, func(s *webhook.Subscription, v string) { s.ServiceURI = v }},
		{"secret", []string{"", "a", long[:15], long[:16], long[:256], long[:257]}, func(s *webhook.Subscription, v string) { s.Secret = v }},
		{"status", []string{"", "enabled", "disabled", "on"}, func(s *webhook.Subscription, v string) { s.Status = webhook.Status(v) }},
		{"location", []string{"west", "nowhere"}, func(s *webhook.Subscription, v string) { s.Location = v }},
		{"actions", []string{"push", "delete", "chart_push", "chart_delete", "replicated", "ping", "quarantine", "Push"},
			func(s *webhook.Subscription, v string) { s.Actions = []webhook.Action{webhook.Action(v)} }},
		{"header", []string{"A", "a b", "", "Host", "te", "Fairlead-Signature", "Content-Type", "X_1"},
			func(s *webhook.Subscription, v string) { s.CustomHeaders = map[string]string{v: "x"} }},
		{"value", []string{"", "a b", "a\tb", "a\r\nb", "\x7f", "é", strings.Repeat("a", 8<<10)},
			func(s *webhook.Subscription, v string) { s.CustomHeaders = map[string]string{"A": v} }},
	} {
		for _, value := range field.values {
			keys := map[string]any{"name": "hook1", "uri": "http://a", "actions": []string{"push"}}
			switch field.key {
			case "actions":
				keys["actions"] = []string{value}
			case "header":
				keys["headers"] = map[string]string{value: "x"}
			case "value":
				keys["headers"] = map[string]string{"A": value}
			default:
				keys[field.key] = value
			}
			entry, err := json.Marshal(keys)
			if err != nil {
				t.Fatal(err)
			}
			c, inFile := configs.Parse("f.yaml", []byte(`
hostname: registry.contoso.com
replicas: [{name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "http://west.internal"}]
webhooks: [`+string(entry)+"]\n"))
			s := webhook.Subscription{Name: "hook1", ServiceURI: "http://a", Actions: []webhook.Action{webhook.Push}, Status: webhook.Enabled}
			field.set(&s, value)
			service, err := webhook.Open(webhook.Config{
				Dir: t.TempDir(), InFile: []webhook.Subscription{s}, Regions: []string{"west"}, Now: time.Now,
				Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
			})
			if err == nil {
				service.Close()
			}
			if (inFile == nil) != (err == nil) {
				t.Errorf("%s %.60q: the file says %v, the queue %v", field.key, value, inFile, err)
			}
			if inFile == nil && err == nil && field.key != "header" && field.key != "value" && !equalSubscription(subscriptionOf(c.Webhooks[0]), s) {
				t.Errorf("%s %.60q: %+v", field.key, value, c.Webhooks[0])
			}
		}
	}
}

func equalSubscription(a, b webhook.Subscription) bool {
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}
