package notify

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/notify/webhook"
	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
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
			Reference: ledger.Reference{Repository: "app", Name: name}, Digest: digest(1), MediaType: typeImage,
			Config:  config,
			Size:    524,
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
		"tag": {ledger.Event{Kind: ledger.Pushed, Entry: entry("v1", typeConfig), Replica: "west",
			Request: client}, "push west v1 524 registry.contoso.com:443 PUT docker/27"},
		"digest": {ledger.Event{Kind: ledger.Pushed, Entry: entry(digest(1), typeConfig), Replica: "west",
			Request: client}, "push west  524 registry.contoso.com:443 PUT docker/27"},
		"chart": {ledger.Event{Kind: ledger.Pushed, Entry: entry("v1", typeChart), Replica: "west",
			Request: client}, "chart_push west v1 524 registry.contoso.com:443 PUT docker/27"},
		"nobody's push": {ledger.Event{Kind: ledger.Pushed, Entry: entry("v1", typeConfig), Replica: "west"},
			"push west v1 524 registry.contoso.com PUT fairlead/1"},
		"copy": {ledger.Event{Kind: ledger.Confirmed, Entry: entry("v1", ""), Replica: "east"},
			"push east v1 524 registry.contoso.com PUT fairlead/1"},
		"copy of a chart": {ledger.Event{Kind: ledger.Confirmed, Entry: entry("v1", typeChart), Replica: "east"},
			"chart_push east v1 524 registry.contoso.com PUT fairlead/1"},
		"deletion": {ledger.Event{Kind: ledger.Deleted, Entry: deleted(entry(digest(1), "")), Replica: "west",
			Request: ledger.Request{Method: "DELETE"}}, "delete west  524  DELETE "},
		"deletion elsewhere": {ledger.Event{Kind: ledger.Confirmed, Entry: deleted(entry(digest(1), "")),
			Replica: "east"},
			"delete east  524 registry.contoso.com DELETE fairlead/1"},
		"deletion of a chart": {ledger.Event{Kind: ledger.Deleted, Entry: deleted(entry(digest(1), typeChart)),
			Replica: "west"}, "chart_delete west  524 registry.contoso.com DELETE fairlead/1"},
		"deleted tag": {ledger.Event{Kind: ledger.Deleted, Entry: deleted(entry("v1", "")), Replica: "west",
			Request: client}, ""},
		"deleted tag there": {ledger.Event{Kind: ledger.Confirmed, Entry: deleted(entry("v1", "")), Replica: "east"},
			""},
		"blob": {ledger.Event{Kind: ledger.Pushed, Entry: blob, Replica: "west", Request: client}, ""},
		"deleted blob": {ledger.Event{Kind: ledger.Deleted, Entry: deleted(blob), Replica: "west", Request: client},
			""},
	} {
		told, ok := eventOf(test.event, own)
		got := ""
		if ok {
			r := told.Request
			got = fmt.Sprintf("%s %s %s %d %s %s %s", told.Action, told.Region, told.Target.Tag, told.Target.Size,
				r.Host,
				r.Method, r.UserAgent)
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
	e := ledger.Entry{Reference: ledger.Reference{Repository: "app", Name: "v1"},
		Stamp: hlc.Stamp{WallMS: 1, Member: "gw1"}}
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
		"not yet": {ledger.Entry{Stamp: pushed, Confirmed: []string{"west"}}, []string{"east", "west"}, underWay},
		"everywhere": {ledger.Entry{Stamp: pushed, Confirmed: []string{"east", "north", "west"}},
			[]string{"east", "west"}, everywhere},
		"nobody takes it": {ledger.Entry{Stamp: pushed, Confirmed: []string{"west"}}, nil, everywhere},
		"pushed anew": {ledger.Entry{Stamp: hlc.Stamp{WallMS: 3}, Confirmed: []string{"east", "west"}},
			[]string{"east", "west"}, overtaken},
		"deleted": {ledger.Entry{Stamp: hlc.Stamp{WallMS: 3}, Deleted: true}, nil, overtaken},
		"what was before": {ledger.Entry{Stamp: hlc.Stamp{WallMS: 1}, Confirmed: []string{"east", "west"}},
			[]string{"east", "west"}, underWay},
		"one stamp, deleted": {ledger.Entry{Stamp: pushed, Deleted: true, Confirmed: []string{"west"}},
			[]string{"west"},
			overtaken},
	} {
		if got := progressOf(pushed, test.now, test.takers); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// site is a ledger, with what subscribers are told of it.
type site struct {
	*testing.T
	dir      string
	in       []subscription.Subscription
	ledger   *ledger.Ledger
	queue    *webhook.Service
	notifier *Notifier
}

func newSite(t *testing.T, in ...subscription.Subscription) *site {
	s := &site{T: t, dir: t.TempDir(), in: in}
	s.open()
	t.Cleanup(s.close)
	return s
}

// takers leaves east out of what is private.
func takers(repository string) []string {
	if strings.HasPrefix(repository, "private/") {
		return []string{"west", "europe"}
	}
	return []string{"west", "east", "europe"}
}

func (s *site) open() {
	s.Helper()
	log := slog.New(slog.NewTextHandler(s.Output(), nil))
	var err error
	s.ledger, err = ledger.Open(s.dir, "gateway", ledger.Named("west", "east", "europe"), time.Now, log)
	s.must(err)
	s.queue, err = webhook.Open(webhook.Config{
		Dir:      s.dir,
		Settings: webhook.Settings{Regions: []string{"west", "east", "europe"}, InFile: s.in, AllowPrivate: true},
		Now:      time.Now, Log: log, Registerer: prometheus.NewRegistry(),
	})
	s.must(err)
	s.notifier = New(Options{
		Ledger: s.ledger, Publish: s.queue.Publish, Takers: takers, Log: log,
		Own: webhook.Request{Host: "registry.contoso.com", UserAgent: "fairlead/v0"},
	})
}

func (s *site) close() {
	_ = s.queue.Close()
	_ = s.ledger.Close()
}

func (s *site) reopen() {
	s.Helper()
	s.close()
	s.open()
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) push(repository, name string, content ledger.Content) {
	s.Helper()
	content.MediaType = typeImage
	e, err := s.ledger.Push(ledger.Reference{Repository: repository, Name: name}, content, "west",
		ledger.Request{Host: "registry.contoso.com", Method: "PUT", UserAgent: "docker/27"})
	s.must(err)
	s.notifier.Heard([]ledger.Entry{e})
}

func (s *site) remove(what ledger.Reference) {
	s.Helper()
	deleted, err := s.ledger.Delete(what, "west", ledger.Request{Method: "DELETE"})
	s.must(err)
	s.notifier.Heard(deleted)
}

func (s *site) confirm(repository, name string, replicas ...string) {
	e, _, err := s.ledger.Get(ledger.Reference{Repository: repository, Name: name})
	s.must(err)
	for _, r := range replicas {
		s.must(s.ledger.Confirm(e, r))
	}
}

// told is what has been queued since the last time, the oldest first.
func (s *site) told(seen map[string]bool) (list []string) {
	s.Helper()
	s.must(s.notifier.publishRecorded())
	deliveries, err := s.queue.ListEvents("hook1")
	s.must(err)
	for _, d := range slices.Backward(deliveries) {
		var p struct {
			Action string
			Target struct{ Repository, Tag, Digest string }
		}
		s.must(json.Unmarshal(d.Request.Content, &p))
		if !seen[d.ID] {
			seen[d.ID] = true
			list = append(list, fmt.Sprintf("%s %s %s %s", p.Action, p.Target.Repository, p.Target.Tag,
				p.Target.Digest[70:]))
		}
	}
	return list
}

func (s *site) tells(seen map[string]bool, want ...string) {
	s.Helper()
	if got := s.told(seen); !slices.Equal(got, want) {
		s.Errorf("told %q, want %q", got, want)
	}
}

// left is what the ledger still keeps for its reader.
func (s *site) left(want int) {
	s.Helper()
	events, err := s.ledger.Events(0, 1000)
	s.must(err)
	if len(events) != want {
		s.Errorf("%d events are left, want %d", len(events), want)
	}
}

var allOfIt = subscription.Subscription{
	Name: "hook1", ServiceURI: "http://127.0.0.1:1", Status: subscription.Enabled,
	Actions: []subscription.Action{subscription.Push, subscription.Delete, subscription.ChartPush,
		subscription.ChartDelete, subscription.Replicated},
}

// TestHooks: an event for the region that took a push, one for each that came to have it, and one when all have it, of
// each request; whatever is closed and opened in between.
func TestNotifier(t *testing.T) {
	s, seen := newSite(t, allOfIt), map[string]bool{}
	s.push("app", "v1", ledger.Content{Digest: digest(1), Size: 524})
	s.tells(seen, "push app v1 1")
	s.left(1)
	if read, err := s.ledger.Read(); read != 1 || err != nil {
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
	s.remove(ledger.Reference{Repository: "charts/app", Name: digest(3)})
	s.confirm("charts/app", digest(3), "east")
	s.confirm("charts/app", "v1", "east")
	s.tells(seen, "chart_push charts/app v1 3", "chart_delete charts/app  3", "chart_delete charts/app  3")
	s.left(0)
}

// A push that was overtaken is not everywhere, and one that was everywhere before it was overtaken is.
func TestOvertaken(t *testing.T) {
	s, seen := newSite(t, allOfIt), map[string]bool{}
	s.push("app", "v1", ledger.Content{Digest: digest(1)})
	s.push("app", "v1", ledger.Content{Digest: digest(2)})
	s.confirm("app", "v1", "east", "europe")
	s.push("app", "v1", ledger.Content{Digest: digest(3)})
	s.tells(seen, "push app v1 1", "push app v1 2", "push app v1 2", "push app v1 2", "replicated app v1 2",
		"push app v1 3")
	s.left(1)
	s.remove(ledger.Reference{Repository: "app", Name: "v1"})
	s.tells(seen)
	s.left(0)
}

// What completes a push may be learnt from another gateway, which tells of its own copies; also while this one was not
// there.
func TestCompletedElsewhere(t *testing.T) {
	s, seen := newSite(t, allOfIt), map[string]bool{}
	other, err := ledger.Open(t.TempDir(), "gw2", nil, time.Now, slog.New(slog.DiscardHandler))
	s.must(err)
	defer other.Close()
	exchange := func(from, to *ledger.Ledger) []ledger.Entry {
		vector, err := to.Vector()
		s.must(err)
		page, err := from.Since(vector, 100)
		s.must(err)
		learned, err := to.MergePage(page)
		s.must(err)
		return learned.News
	}
	for i, reopened := range []bool{false, true} {
		name := fmt.Sprint("v", i)
		s.push("app", name, ledger.Content{Digest: digest(i)})
		s.tells(seen, fmt.Sprintf("push app %s %d", name, i))
		exchange(s.ledger, other)
		e, _, err := other.Get(ledger.Reference{Repository: "app", Name: name})
		s.must(err)
		s.must(other.Confirm(e, "east"))
		s.must(other.Confirm(e, "europe"))
		news := exchange(other, s.ledger)
		if reopened {
			s.reopen() // before it was told of the news
		} else {
			s.notifier.Heard(news)
			_, err := other.Push(e.Reference, ledger.Content{Digest: digest(9)}, "europe", ledger.Request{})
			s.must(err)
			s.notifier.Heard(exchange(other, s.ledger)) // it was everywhere all the same
		}
		s.tells(seen, fmt.Sprintf("replicated app %s %d", name, i))
		s.left(0)
	}
}

// Killed after telling and before that was noted, it tells again, with the same IDs, and nothing is queued twice.
func TestToldAgain(t *testing.T) {
	s, seen := newSite(t, allOfIt), map[string]bool{}
	s.push("app", "v1", ledger.Content{Digest: digest(1)})
	s.confirm("app", "v1", "east", "europe")
	events, err := s.ledger.Events(0, 10)
	s.must(err)
	for _, e := range events {
		s.must(s.notifier.publishOne(e))
	}
	s.must(s.notifier.closeFinished())
	before := map[string]bool{}
	list, err := s.queue.ListEvents("hook1")
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
	s := newSite(t)
	for i := range 250 {
		s.push("app", fmt.Sprint("v", i), ledger.Content{Digest: digest(i)})
		s.confirm("app", fmt.Sprint("v", i), "east", "europe")
	}
	s.must(s.notifier.publishRecorded())
	s.left(0)
}

func TestOpenPushesAreBounded(t *testing.T) {
	s := newSite(t)
	for i := range maxOpen + 1 {
		s.notifier.openPushOf(ledger.Event{Number: uint64(i),
			Entry: ledger.Entry{Reference: ledger.Reference{Repository: "app", Name: fmt.Sprint(i)}}})
	}
	if len(s.notifier.open) != maxOpen || !slices.Equal(s.notifier.done, []uint64{maxOpen}) {
		t.Errorf("%d open, %v to forget", len(s.notifier.open), s.notifier.done)
	}
}

// While the queue cannot be written the ledger keeps what is to be told.
func TestQueueUnavailable(t *testing.T) {
	s, seen := newSite(t, allOfIt), map[string]bool{}
	s.must(s.queue.Close())
	s.push("app", "v1", ledger.Content{Digest: digest(1)})
	s.confirm("app", "v1", "east", "europe")
	if first := s.notifier.publishRecorded(); first == nil || s.notifier.publishRecorded() == nil {
		t.Error("nothing was wrong")
	}
	s.left(3)
	s.reopen()
	s.tells(seen, "push app v1 1", "push app v1 1", "push app v1 1", "replicated app v1 1")
	s.left(0)
}
