package subscription

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestSubscriptionCheck(t *testing.T) {
	many := map[string]string{}
	for i := range MaxHeaders + 1 {
		many[fmt.Sprintf("X-%d", i)] = "v"
	}
	for name, test := range map[string]struct {
		change func(*Subscription)
		want   string
	}{
		"fine": {func(*Subscription) {}, ""},
		"all of it": {func(s *Subscription) {
			s.Scope, s.Location, s.Secret = "foo:*", "westus",
				strings.Repeat("s", 16)
		}, ""},
		"basic auth": {func(s *Subscription) { s.CustomHeaders = map[string]string{"Authorization": "Basic 000000"} },
			""},
		"own content type": {func(s *Subscription) { s.CustomHeaders = map[string]string{"content-type": "text/json"} },
			""},
		"short name":       {func(s *Subscription) { s.Name = "hook" }, "5 to 50"},
		"longest name":     {func(s *Subscription) { s.Name = strings.Repeat("a", 50) }, ""},
		"long name":        {func(s *Subscription) { s.Name = strings.Repeat("a", 51) }, "5 to 50"},
		"name with a dash": {func(s *Subscription) { s.Name = "my-hook" }, "5 to 50"},
		"no action":        {func(s *Subscription) { s.Actions = nil }, "at least one"},
		"unknown action":   {func(s *Subscription) { s.Actions = []Action{"quarantine"} }, "quarantine"},
		"ping":             {func(s *Subscription) { s.Actions = []Action{Ping} }, "ping"},
		"action twice":     {func(s *Subscription) { s.Actions = []Action{Push, Push} }, "twice"},
		"scope":            {func(s *Subscription) { s.Scope = "*" }, "scope"},
		"status":           {func(s *Subscription) { s.Status = "on" }, "status"},
		"short secret":     {func(s *Subscription) { s.Secret = "short" }, "secret"},
		"header's name":    {func(s *Subscription) { s.CustomHeaders = map[string]string{"a b": "v"} }, "no header"},
		"header's value": {func(s *Subscription) { s.CustomHeaders = map[string]string{"A": "v\r\nB: w"} },
			"cannot be sent"},
		"header of ours": {func(s *Subscription) { s.CustomHeaders = map[string]string{"fairlead-signature": "v"} },
			"not for a webhook"},
		"header of HTTP": {func(s *Subscription) { s.CustomHeaders = map[string]string{"host": "v"} },
			"not for a webhook"},
		"header twice": {func(s *Subscription) { s.CustomHeaders = map[string]string{"a": "v", "A": "w"} }, "twice"},
		"many headers": {func(s *Subscription) { s.CustomHeaders = many }, "at most"},
		"long headers": {func(s *Subscription) {
			s.CustomHeaders = map[string]string{"A": strings.Repeat("a",
				MaxHeadersBytes)}
		}, "at most"},
		"no such location":   {func(s *Subscription) { s.Location = "westeurope" }, "one of [westus eastus]"},
		"several at a time":  {func(s *Subscription) { s.Name, s.Scope = "a", "*" }, "scope"},
		"secrets not quoted": {func(s *Subscription) { s.ServiceURI = "ftp://user:pw@host" }, "https://"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Subscription{
				Name: "hook1", ServiceURI: "https://hooks.contoso.com/a?b=c", Actions: Actions(), Status: Enabled,
			}
			test.change(&s)
			err := s.Check([]string{"westus", "eastus"})
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
			if err != nil && (!errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "user:pw")) {
				t.Error(err)
			}
		})
	}
}

func TestCheckURI(t *testing.T) {
	for _, uri := range []string{"http://a", "https://a.b:8443/c?d=e", "http://[2001:db8::1]:80/", "http://127.0.0.1"} {
		if err := CheckURI(uri); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{
		"", "a", "//a", "ftp://a", "file:///etc/passwd", "http:", "http://", "http:///a", "http:a", "http://:80",
		"http://u@a", "http://u:p@a", "http://a:0",
		"http://a:65536", "http://a:b", "http://a:", "http://a b", "http://a/#b", "http://[fe80::1%25eth0]/",
		"http://[::1", "http://a/\n", "http://" + strings.Repeat("a", MaxURI),
	} {
		if CheckURI(uri) == nil {
			t.Errorf("%s was taken", uri)
		}
	}
}

func TestMaskURI(t *testing.T) {
	for uri, want := range map[string]string{
		"https://hooks.contoso.com":                  "https://hooks.contoso.com",
		"https://hooks.contoso.com:8443/":            "https://hooks.contoso.com:8443",
		"https://hooks.contoso.com/services/T0/B0/s": "https://hooks.contoso.com/*****",
		"https://hooks.contoso.com?token=s":          "https://hooks.contoso.com/*****",
		"https://hooks.contoso.com/?token=s":         "https://hooks.contoso.com/*****",
		"https://user:s@hooks.contoso.com":           "https://hooks.contoso.com",
		"https://[::1/s":                             "*****",
	} {
		if got := MaskURI(uri); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
}

func FuzzCheckURI(f *testing.F) {
	for _, s := range []string{"http://a", "https://a:1/b?c", "http://u@a", "http://[::1]", "http://%61", "HTTP://A",
		"http://a%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if CheckURI(uri) != nil {
			return
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, uri, nil)
		if err != nil || req.URL.Hostname() == "" || req.URL.User != nil || req.URL.Scheme != "http" &&
			req.URL.Scheme != "https" {
			t.Errorf("%q was taken: %v", uri, err)
		}
	})
}

func TestMasked(t *testing.T) {
	s := Subscription{Name: "hook1", ServiceURI: "https://hooks.contoso.com", Actions: Actions(), Status: Enabled}
	s.Secret = "0123456789abcdef"
	s.CustomHeaders = map[string]string{"authorization": "Basic abc", "X-Api-Key": "abc", "X-Team": "red"}
	got := s.Masked()
	if got.Secret != Mask || got.CustomHeaders["authorization"] != Mask || got.CustomHeaders["X-Api-Key"] != Mask ||
		got.CustomHeaders["X-Team"] != "red" {
		t.Errorf("%+v", got)
	}
	if s.CustomHeaders["authorization"] != "Basic abc" {
		t.Error("masking changed the subscription itself")
	}
}

// TestMaskText: what a receiver sends back of what it was sent is no less secret for that.
func TestMaskText(t *testing.T) {
	s := Subscription{
		ServiceURI: "https://hooks.contoso.com/services/T0?code=letmein&a=b", Secret: "0123456789abcdef",
		CustomHeaders: map[string]string{"Authorization": "Bearer token", "X-Api-Key": "abcd", "X-Team": "blue"},
	}
	for text, want := range map[string]string{
		"ok": "ok",
		"POST /services/T0?code=letmein&a=b Authorization: Bearer token": "POST ***** Authorization: *****",
		`{"path":"/services/T0","args":{"code":"letmein"}}`:              `{"path":"*****","args":{"code":"*****"}}`,
		"token abcd 0123456789abcdef blue, a=b":                          "***** ***** ***** blue, a=b",
	} {
		if got := s.MaskText(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := (Subscription{ServiceURI: "https://hooks.contoso.com/"}).MaskText("a/b"); got != "a/b" {
		t.Error(got)
	}
}

// TestRulesOfOneField: what a field may be, and what it may not.
func TestRulesOfOneField(t *testing.T) {
	long := strings.Repeat("a", 300)
	for name, rule := range map[string]struct {
		holds     func(string) bool
		good, bad []string
	}{
		"name": {func(s string) bool { return CheckName(s) == nil },
			[]string{"hook1", "Hook1", long[:50]}, []string{"", "hook", "my-hook", "höök1", long[:51]}},
		"secret": {func(s string) bool { return CheckSecret(s) == nil },
			[]string{"", long[:16], long[:256]}, []string{"a", long[:15], long[:257]}},
		"header": {func(s string) bool { return CheckHeaderName(s) == nil },
			[]string{"A", "Content-Type", "X_1"}, []string{"", "a b", "Host", "te", "Fairlead-Signature"}},
		"value": {func(s string) bool { return CheckHeaderValue(s) == nil },
			[]string{"", "a b", "a\tb", "é"}, []string{"a\r\nb", "\x7f"}},
	} {
		for _, s := range rule.good {
			if !rule.holds(s) {
				t.Errorf("%s %.60q is refused", name, s)
			}
		}
		for _, s := range rule.bad {
			if rule.holds(s) {
				t.Errorf("%s %.60q is taken", name, s)
			}
		}
	}
}
