package gateway

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/webhook"
)

const (
	typeImage  = "application/vnd.oci.image.manifest.v1+json"
	typeConfig = "application/vnd.oci.image.config.v1+json"
	typeChart  = "application/vnd.cncf.helm.config.v1+json"
)

func digest(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func TestEventOf(t *testing.T) {
	own := webhook.Request{Host: "registry.contoso.com", UserAgent: "fairlead/1"}
	client := ledger.Request{Host: "registry.contoso.com:443", Method: "PUT", UserAgent: "docker/27"}
	entry := func(name, config string) ledger.Entry {
		return ledger.Entry{
			Reference: ledger.Reference{Repository: "app", Name: name}, Digest: digest(1), MediaType: typeImage, Config: config, Size: 524,
			Replica: "west", Stamp: hlc.Stamp{WallMS: 1, Member: "gw1"}, Confirmed: []string{"west"},
		}
	}
	deleted := func(e ledger.Entry) ledger.Entry { e.Deleted = true; return e }
	blob := entry(digest(1), "")
	blob.Blob = true
	for name, test := range map[string]struct {
		event ledger.Event
		want  string // action, region, tag, size, request; empty: nobody is told
	}{
		"tag":                 {ledger.Event{Kind: ledger.Pushed, Entry: entry("v1", typeConfig), Replica: "west", Request: client}, "push west v1 524 registry.contoso.com:443 PUT docker/27"},
		"digest":              {ledger.Event{Kind: ledger.Pushed, Entry: entry(digest(1), typeConfig), Replica: "west", Request: client}, "push west  524 registry.contoso.com:443 PUT docker/27"},
		"chart":               {ledger.Event{Kind: ledger.Pushed, Entry: entry("v1", typeChart), Replica: "west", Request: client}, "chart_push west v1 524 registry.contoso.com:443 PUT docker/27"},
		"nobody's push":       {ledger.Event{Kind: ledger.Pushed, Entry: entry("v1", typeConfig), Replica: "west"}, "push west v1 524 registry.contoso.com PUT fairlead/1"},
		"copy":                {ledger.Event{Kind: ledger.Confirmed, Entry: entry("v1", ""), Replica: "east"}, "push east v1 524 registry.contoso.com PUT fairlead/1"},
		"copy of a chart":     {ledger.Event{Kind: ledger.Confirmed, Entry: entry("v1", typeChart), Replica: "east"}, "chart_push east v1 524 registry.contoso.com PUT fairlead/1"},
		"deletion":            {ledger.Event{Kind: ledger.Deleted, Entry: deleted(entry(digest(1), "")), Replica: "west", Request: ledger.Request{Method: "DELETE"}}, "delete west  524  DELETE "},
		"deletion elsewhere":  {ledger.Event{Kind: ledger.Confirmed, Entry: deleted(entry(digest(1), "")), Replica: "east"}, "delete east  524 registry.contoso.com DELETE fairlead/1"},
		"deletion of a chart": {ledger.Event{Kind: ledger.Deleted, Entry: deleted(entry(digest(1), typeChart)), Replica: "west"}, "chart_delete west  524 registry.contoso.com DELETE fairlead/1"},
		"deleted tag":         {ledger.Event{Kind: ledger.Deleted, Entry: deleted(entry("v1", "")), Replica: "west", Request: client}, ""},
		"deleted tag there":   {ledger.Event{Kind: ledger.Confirmed, Entry: deleted(entry("v1", "")), Replica: "east"}, ""},
		"blob":                {ledger.Event{Kind: ledger.Pushed, Entry: blob, Replica: "west", Request: client}, ""},
		"deleted blob":        {ledger.Event{Kind: ledger.Deleted, Entry: deleted(blob), Replica: "west", Request: client}, ""},
	} {
		told, ok := eventOf(test.event, own)
		got := ""
		if ok {
			r := told.Request
			got = fmt.Sprintf("%s %s %s %d %s %s %s", told.Action, told.Region, told.Target.Tag, told.Target.Size, r.Host, r.Method, r.UserAgent)
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if ok && (!isUUID(told.ID) || !isUUID(told.Request.ID) || told.ID == told.Request.ID) {
			t.Errorf("%s: IDs %q and %q", name, told.ID, told.Request.ID)
		}
	}
}

func isUUID(s string) bool {
	return regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(s)
}

// One request has one ID; what is told of twice has the same, and nothing else has it.
func TestIDs(t *testing.T) {
	e := ledger.Entry{Reference: ledger.Reference{Repository: "app", Name: "v1"}, Stamp: hlc.Stamp{WallMS: 1, Member: "gw1"}}
	seen := map[string]string{}
	one := func(what string, id string) {
		if other, twice := seen[id]; twice {
			t.Errorf("%s and %s have the same ID", what, other)
		}
		seen[id] = what
	}
	one("push", idOf(e, "push", "west"))
	one("push elsewhere", idOf(e, "push", "east"))
	one("replicated", idOf(e, "replicated", ""))
	for what, change := range map[string]func(*ledger.Entry){
		"repository": func(e *ledger.Entry) { e.Repository = "other" },
		"name":       func(e *ledger.Entry) { e.Name = "v2" },
		"time":       func(e *ledger.Entry) { e.Stamp.WallMS++ },
		"logical":    func(e *ledger.Entry) { e.Stamp.Logical++ },
		"member":     func(e *ledger.Entry) { e.Stamp.Member = "gw2" },
	} {
		other := e
		change(&other)
		one(what, idOf(other, "push", "west"))
	}
	later := e
	later.Confirmed = []string{"east"}
	if idOf(later, "push", "west") != idOf(e, "push", "west") {
		t.Error("an ID depends on what was confirmed since")
	}
	pushed := ledger.Event{Kind: ledger.Pushed, Entry: e, Replica: "west", Request: ledger.Request{Method: "PUT"}}
	told, _ := eventOf(pushed, webhook.Request{})
	if everywhereOf(pushed, webhook.Request{}, time.Now()).Request != told.Request {
		t.Error("one request is told of as two")
	}
}

func TestProgress(t *testing.T) {
	pushed := hlc.Stamp{WallMS: 2, Member: "gw1"}
	for name, test := range map[string]struct {
		now    ledger.Entry
		takers []string
		want   progress
	}{
		"not yet":           {ledger.Entry{Stamp: pushed, Confirmed: []string{"west"}}, []string{"east", "west"}, underWay},
		"everywhere":        {ledger.Entry{Stamp: pushed, Confirmed: []string{"east", "north", "west"}}, []string{"east", "west"}, everywhere},
		"nobody takes it":   {ledger.Entry{Stamp: pushed, Confirmed: []string{"west"}}, nil, everywhere},
		"pushed anew":       {ledger.Entry{Stamp: hlc.Stamp{WallMS: 3}, Confirmed: []string{"east", "west"}}, []string{"east", "west"}, overtaken},
		"deleted":           {ledger.Entry{Stamp: hlc.Stamp{WallMS: 3}, Deleted: true}, nil, overtaken},
		"what was before":   {ledger.Entry{Stamp: hlc.Stamp{WallMS: 1}, Confirmed: []string{"east", "west"}}, []string{"east", "west"}, underWay},
		"one stamp, buried": {ledger.Entry{Stamp: pushed, Deleted: true, Confirmed: []string{"west"}}, []string{"west"}, overtaken},
	} {
		if got := progressOf(pushed, test.now, test.takers); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// hookSite is a gateway's record and what subscribers are told of it.
type hookSite struct {
	*testing.T
	config *configs.Config
	record *record
	hooks  *hooks
}

func newHookSite(t *testing.T, more string) *hookSite {
	s := &hookSite{T: t, config: hookFile(t, more)}
	s.config.State = t.TempDir()
	s.open()
	t.Cleanup(s.close)
	return s
}

func hookFile(t *testing.T, more string) *configs.Config {
	t.Helper()
	c, err := configs.Parse(filepath.Join(t.TempDir(), "fairlead.yaml"), []byte(`
hostname: registry.contoso.com
replication: {filters: [{replica: east, repositories: [private/*]}]}
replicas:
  - {name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "http://west.internal", home: true}
  - {name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: "http://east.internal"}
  - {name: europe, place: azure/westeurope, addresses: [127.0.0.3], upstream: "http://europe.internal"}
  - {name: closed, place: azure/westeurope, addresses: [127.0.0.4], upstream: "http://closed.internal", write: false}
  - {name: gone, place: azure/westeurope, addresses: [127.0.0.5], upstream: "http://gone.internal", state: offline}
`+more))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *hookSite) open() {
	s.Helper()
	log := slog.New(slog.NewTextHandler(s.Output(), nil))
	var err error
	if s.record, err = openRecord(s.config, prometheus.NewRegistry(), log); err != nil {
		s.Fatal(err)
	}
	if s.hooks, err = openHooks(s.config, "v0", s.record, prometheus.NewRegistry(), log); err != nil {
		s.Fatal(err)
	}
}

func (s *hookSite) close() {
	_ = s.hooks.Close()
	_ = s.record.ledger.Close()
}

func (s *hookSite) reopen() {
	s.Helper()
	s.close()
	s.open()
}

func (s *hookSite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *hookSite) push(repository, name string, content ledger.Content) {
	s.Helper()
	content.MediaType = typeImage
	s.must(s.record.Push(ledger.Reference{Repository: repository, Name: name}, content, "west", ledger.Request{Host: "registry.contoso.com", Method: "PUT", UserAgent: "docker/27"}))
}

func (s *hookSite) confirm(repository, name string, replicas ...string) {
	e, _, err := s.record.ledger.Get(ledger.Reference{Repository: repository, Name: name})
	s.must(err)
	for _, r := range replicas {
		s.must(book{s.record}.Confirm(e, r))
	}
}

// told is what has been queued since the last time, the oldest first.
func (s *hookSite) told(seen map[string]bool) (list []string) {
	s.Helper()
	s.must(s.hooks.tell())
	deliveries, err := s.hooks.ListEvents("hook1")
	s.must(err)
	for _, d := range slices.Backward(deliveries) {
		var p struct {
			Action string
			Target struct{ Repository, Tag, Digest string }
		}
		s.must(json.Unmarshal(d.Request.Content, &p))
		if !seen[d.ID] {
			seen[d.ID] = true
			list = append(list, fmt.Sprintf("%s %s %s %s", p.Action, p.Target.Repository, p.Target.Tag, p.Target.Digest[70:]))
		}
	}
	return list
}

func (s *hookSite) tells(seen map[string]bool, want ...string) {
	s.Helper()
	if got := s.told(seen); !slices.Equal(got, want) {
		s.Errorf("told %q, want %q", got, want)
	}
}

// left is what the ledger still keeps for its reader.
func (s *hookSite) left(want int) {
	s.Helper()
	events, err := s.record.ledger.Events(0, 1000)
	s.must(err)
	if len(events) != want {
		s.Errorf("%d events are left, want %d", len(events), want)
	}
}

const allOfIt = "webhooks: [{name: hook1, uri: \"http://127.0.0.1:1\", actions: [push, delete, chart_push, chart_delete, replicated]}]\n"

// TestHooks: an event for the region that took a push, one for each that came to have it, and one when all have it, of each
// request; whatever is closed and opened in between.
func TestHooks(t *testing.T) {
	s, seen := newHookSite(t, allOfIt), map[string]bool{}
	s.push("app", "v1", ledger.Content{Digest: digest(1), Size: 524})
	s.tells(seen, "push app v1 1")
	s.left(1)
	if read, err := s.record.ledger.Read(); read != 1 || err != nil {
		t.Errorf("read up to %d, %v", read, err)
	}
	s.reopen()
	s.confirm("app", digest(1), "east")
	s.confirm("app", "v1", "east")
	s.tells(seen, "push app v1 1")
	s.reopen()
	s.tells(seen)
	s.confirm("app", "v1", "europe")
	s.reopen()
	s.tells(seen, "push app v1 1", "replicated app v1 1")
	s.left(0)
	s.reopen()
	s.tells(seen)

	s.push("private/app", digest(2), ledger.Content{Digest: digest(2)})
	s.confirm("private/app", digest(2), "europe")
	s.tells(seen, "push private/app  2", "push private/app  2", "replicated private/app  2")

	s.push("charts/app", "v1", ledger.Content{Digest: digest(3), Config: typeChart})
	s.must(s.record.Delete(ledger.Reference{Repository: "charts/app", Name: digest(3)}, "west", ledger.Request{Method: "DELETE"}))
	s.confirm("charts/app", digest(3), "east")
	s.confirm("charts/app", "v1", "east")
	s.tells(seen, "chart_push charts/app v1 3", "chart_delete charts/app  3", "chart_delete charts/app  3")
	s.left(0)
}

// A push that was overtaken is not everywhere, and one that was everywhere before it was overtaken is.
func TestOvertaken(t *testing.T) {
	s, seen := newHookSite(t, allOfIt), map[string]bool{}
	s.push("app", "v1", ledger.Content{Digest: digest(1)})
	s.push("app", "v1", ledger.Content{Digest: digest(2)})
	s.confirm("app", "v1", "east", "europe")
	s.push("app", "v1", ledger.Content{Digest: digest(3)})
	s.tells(seen, "push app v1 1", "push app v1 2", "push app v1 2", "push app v1 2", "replicated app v1 2", "push app v1 3")
	s.left(1)
	s.must(s.record.Delete(ledger.Reference{Repository: "app", Name: "v1"}, "west", ledger.Request{Method: "DELETE"}))
	s.tells(seen)
	s.left(0)
}

// What completes a push may be learnt from another gateway, which tells of its own copies; also while this one was not there.
func TestCompletedElsewhere(t *testing.T) {
	s, seen := newHookSite(t, allOfIt), map[string]bool{}
	other, err := ledger.Open(t.TempDir(), "gw2", nil, time.Now, slog.New(slog.DiscardHandler))
	s.must(err)
	defer other.Close()
	exchange := func(from, to *ledger.Ledger) []ledger.Entry {
		vector, err := to.Vector()
		s.must(err)
		page, err := from.Since(vector, 100)
		s.must(err)
		learned, err := to.Learn(page)
		s.must(err)
		return learned.News
	}
	for i, reopened := range []bool{false, true} {
		name := fmt.Sprint("v", i)
		s.push("app", name, ledger.Content{Digest: digest(i)})
		s.tells(seen, fmt.Sprintf("push app %s %d", name, i))
		exchange(s.record.ledger, other)
		e, _, err := other.Get(ledger.Reference{Repository: "app", Name: name})
		s.must(err)
		s.must(other.Confirm(e, "east"))
		s.must(other.Confirm(e, "europe"))
		news := exchange(other, s.record.ledger)
		if reopened {
			s.reopen() // before it was told of the news
		} else {
			s.record.news(news)
			_, err := other.Push(e.Reference, ledger.Content{Digest: digest(9)}, "europe", ledger.Request{})
			s.must(err)
			s.record.news(exchange(other, s.record.ledger)) // it was everywhere all the same
		}
		s.tells(seen, fmt.Sprintf("replicated app %s %d", name, i))
		s.left(0)
	}
}

// Killed after telling and before that was noted, it tells again, with the same IDs, and nothing is queued twice.
func TestToldAgain(t *testing.T) {
	s, seen := newHookSite(t, allOfIt), map[string]bool{}
	s.push("app", "v1", ledger.Content{Digest: digest(1)})
	s.confirm("app", "v1", "east", "europe")
	events, err := s.record.ledger.Events(0, 10)
	s.must(err)
	for _, e := range events {
		s.must(s.hooks.tellOf(e))
	}
	s.must(s.hooks.settle())
	before := map[string]bool{}
	list, err := s.hooks.ListEvents("hook1")
	s.must(err)
	for _, d := range list {
		before[d.ID] = true
	}
	s.reopen()
	if s.told(seen); len(list) != 4 || !maps.Equal(seen, before) {
		t.Errorf("%v, before %v", seen, before)
	}
	s.left(0)
}

// Nobody subscribes: nothing piles up, but for what may yet be subscribed to.
func TestNobodySubscribes(t *testing.T) {
	s := newHookSite(t, "")
	for i := range 250 {
		s.push("app", fmt.Sprint("v", i), ledger.Content{Digest: digest(i)})
		s.confirm("app", fmt.Sprint("v", i), "east", "europe")
	}
	s.must(s.hooks.tell())
	s.left(0)
}

func TestOpenPushesAreBounded(t *testing.T) {
	s := newHookSite(t, "")
	for i := range maxOpen + 1 {
		s.hooks.begin(ledger.Event{Number: uint64(i), Entry: ledger.Entry{Reference: ledger.Reference{Repository: "app", Name: fmt.Sprint(i)}}})
	}
	if len(s.hooks.open) != maxOpen || !slices.Equal(s.hooks.done, []uint64{maxOpen}) {
		t.Errorf("%d open, %v to forget", len(s.hooks.open), s.hooks.done)
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

// While the queue cannot be written the record keeps what is to be told.
func TestQueueUnavailable(t *testing.T) {
	s, seen := newHookSite(t, allOfIt), map[string]bool{}
	s.must(s.hooks.Close())
	s.push("app", "v1", ledger.Content{Digest: digest(1)})
	s.confirm("app", "v1", "east", "europe")
	if first := s.hooks.tell(); first == nil || s.hooks.tell() == nil {
		t.Error("nothing was wrong")
	}
	s.left(3)
	s.reopen()
	s.tells(seen, "push app v1 1", "push app v1 1", "push app v1 1", "replicated app v1 1")
	s.left(0)
}
