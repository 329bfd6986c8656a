package webhook

import (
	"strings"
	"testing"
)

func receiver(uri string) Subscription {
	return Subscription{Name: "hook1", ServiceURI: uri, Actions: []Action{Push, Delete, ChartPush, ChartDelete, Replicated}, Status: Enabled}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		name   string
		sub    func(*Subscription)
		event  func(*Event)
		expect bool
	}{
		{"all of it", func(*Subscription) {}, func(*Event) {}, true},
		{"another action", func(s *Subscription) { s.Actions = []Action{Delete} }, func(*Event) {}, false},
		{"disabled", func(s *Subscription) { s.Status = Disabled }, func(*Event) {}, false},
		{"its region", func(s *Subscription) { s.Location = "WestUS" }, func(*Event) {}, true},
		{"another region", func(s *Subscription) { s.Location = "eastus" }, func(*Event) {}, false},
		{"no region's event", func(s *Subscription) { s.Location = "eastus" }, func(e *Event) { e.Action, e.Region = Replicated, "" }, true},
		{"repository", func(s *Subscription) { s.Scope = "app:*" }, func(*Event) {}, true},
		{"repository without a tag", func(s *Subscription) { s.Scope = "app:*" }, func(e *Event) { e.Target.Tag = "" }, true},
		{"repository below", func(s *Subscription) { s.Scope = "app:*" }, func(e *Event) { e.Target.Repository = "app/sub" }, false},
		{"longer name", func(s *Subscription) { s.Scope = "app:*" }, func(e *Event) { e.Target.Repository = "apple" }, false},
		{"tag", func(s *Subscription) { s.Scope = "app:v1" }, func(*Event) {}, true},
		{"another tag", func(s *Subscription) { s.Scope = "app:v2" }, func(*Event) {}, false},
		{"a tag's scope, no tag", func(s *Subscription) { s.Scope = "app:v1" }, func(e *Event) { e.Target.Tag = "" }, false},
		{"bare means latest", func(s *Subscription) { s.Scope = "app" }, func(e *Event) { e.Target.Tag = "latest" }, true},
		{"bare is no wildcard", func(s *Subscription) { s.Scope = "app" }, func(*Event) {}, false},
		{"a scope that is none", func(s *Subscription) { s.Scope = "*" }, func(*Event) {}, false},
		{"manifest deleted", func(*Subscription) {}, func(e *Event) { e.Action, e.Target.Tag = Delete, "" }, true},
		{"tag deleted", func(*Subscription) {}, func(e *Event) { e.Action = Delete }, false},
		{"tag deleted, digest unknown", func(*Subscription) {}, func(e *Event) { e.Action, e.Target.Digest = Delete, "" }, false},
		{"chart deleted", func(*Subscription) {}, func(e *Event) { e.Action = ChartDelete }, true},
		{"chart's tag deleted", func(*Subscription) {}, func(e *Event) { e.Action, e.Target.Digest = ChartDelete, "" }, false},
		{"nobody subscribes to pings", func(*Subscription) {}, func(e *Event) { e.Action = Ping }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			sub, event := receiver("https://hooks.contoso.com"), image("e1")
			test.sub(&sub)
			test.event(&event)
			if got := Matches(sub, event); got != test.expect {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestParseScope(t *testing.T) {
	for in, want := range map[string]scope{
		"": {"", "*"}, "foo": {"foo", "latest"}, "foo:bar": {"foo", "bar"}, "foo:*": {"foo", "*"}, "a/b-c__d.e:V_1.2-x": {"a/b-c__d.e", "V_1.2-x"},
	} {
		if got, err := parseScope(in); err != nil || got != want {
			t.Errorf("%q: %v %v", in, got, err)
		}
	}
	for _, in := range []string{"*", ":", ":v1", "foo:", "foo:v*", "foo*", "Foo", "/foo", "foo//bar", "a:b:c", "foo:.v", "foo\n", strings.Repeat("a", 256), "foo:" + strings.Repeat("a", 129)} {
		if got, err := parseScope(in); err == nil {
			t.Errorf("%q became %v", in, got)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"", "foo", "foo:*", "foo:bar", "a/b:c", "a:b:c", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := parseScope(in)
		if err != nil {
			return
		}
		if in != "" && in != s.repository+":"+s.tag && in+":latest" != s.repository+":"+s.tag {
			t.Errorf("%q became %v", in, s)
		}
		if !s.holds(Target{Repository: "x", Tag: "y"}) && in == "" || s.repository != "" && s.holds(Target{Repository: s.repository + "x", Tag: s.tag}) {
			t.Errorf("%q holds what it does not say", in)
		}
	})
}
