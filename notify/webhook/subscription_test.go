package webhook

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
	for i := range maxHeaders + 1 {
		many[fmt.Sprintf("X-%d", i)] = "v"
	}
	for name, test := range map[string]struct {
		change func(*Subscription)
		want   string
	}{
		"fine":               {func(*Subscription) {}, ""},
		"all of it":          {func(s *Subscription) { s.Scope, s.Location, s.Secret = "foo:*", "westus", strings.Repeat("s", 16) }, ""},
		"basic auth":         {func(s *Subscription) { s.CustomHeaders = map[string]string{"Authorization": "Basic 000000"} }, ""},
		"own content type":   {func(s *Subscription) { s.CustomHeaders = map[string]string{"content-type": "text/json"} }, ""},
		"short name":         {func(s *Subscription) { s.Name = "hook" }, "5 to 50"},
		"longest name":       {func(s *Subscription) { s.Name = strings.Repeat("a", 50) }, ""},
		"long name":          {func(s *Subscription) { s.Name = strings.Repeat("a", 51) }, "5 to 50"},
		"name with a dash":   {func(s *Subscription) { s.Name = "my-hook" }, "5 to 50"},
		"no action":          {func(s *Subscription) { s.Actions = nil }, "at least one"},
		"unknown action":     {func(s *Subscription) { s.Actions = []Action{"quarantine"} }, "quarantine"},
		"ping":               {func(s *Subscription) { s.Actions = []Action{Ping} }, "ping"},
		"action twice":       {func(s *Subscription) { s.Actions = []Action{Push, Push} }, "twice"},
		"scope":              {func(s *Subscription) { s.Scope = "*" }, "scope"},
		"status":             {func(s *Subscription) { s.Status = "on" }, "status"},
		"short secret":       {func(s *Subscription) { s.Secret = "short" }, "secret"},
		"header's name":      {func(s *Subscription) { s.CustomHeaders = map[string]string{"a b": "v"} }, "no header"},
		"header's value":     {func(s *Subscription) { s.CustomHeaders = map[string]string{"A": "v\r\nB: w"} }, "cannot be sent"},
		"header of ours":     {func(s *Subscription) { s.CustomHeaders = map[string]string{"fairlead-signature": "v"} }, "not for a webhook"},
		"header of HTTP":     {func(s *Subscription) { s.CustomHeaders = map[string]string{"host": "v"} }, "not for a webhook"},
		"header twice":       {func(s *Subscription) { s.CustomHeaders = map[string]string{"a": "v", "A": "w"} }, "twice"},
		"many headers":       {func(s *Subscription) { s.CustomHeaders = many }, "at most"},
		"long headers":       {func(s *Subscription) { s.CustomHeaders = map[string]string{"A": strings.Repeat("a", maxHeadersBytes)} }, "at most"},
		"no such location":   {func(s *Subscription) { s.Location = "westeurope" }, "one of [westus eastus]"},
		"several at a time":  {func(s *Subscription) { s.Name, s.Scope = "a", "*" }, "scope"},
		"secrets not quoted": {func(s *Subscription) { s.ServiceURI = "ftp://user:pw@host" }, "https://"},
	} {
		t.Run(name, func(t *testing.T) {
			s := receiver("https://hooks.contoso.com/a?b=c")
			test.change(&s)
			err := s.check([]string{"westus", "eastus"})
			wantError(t, err, test.want)
			if err != nil && (!errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "user:pw")) {
				t.Error(err)
			}
		})
	}
}

func TestCheckURI(t *testing.T) {
	for _, uri := range []string{"http://a", "https://a.b:8443/c?d=e", "http://[2001:db8::1]:80/", "http://127.0.0.1"} {
		if err := checkURI(uri); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{
		"", "a", "//a", "ftp://a", "file:///etc/passwd", "http:", "http://", "http:///a", "http:a", "http://:80", "http://u@a", "http://u:p@a", "http://a:0",
		"http://a:65536", "http://a:b", "http://a:", "http://a b", "http://a/#b", "http://[fe80::1%25eth0]/", "http://[::1", "http://a/\n", "http://" + strings.Repeat("a", maxURI),
	} {
		if checkURI(uri) == nil {
			t.Errorf("%s was taken", uri)
		}
	}
}

func TestMaskedURI(t *testing.T) {
	for uri, want := range map[string]string{
		"https://hooks.contoso.com":                  "https://hooks.contoso.com",
		"https://hooks.contoso.com:8443/":            "https://hooks.contoso.com:8443",
		"https://hooks.contoso.com/services/T0/B0/s": "https://hooks.contoso.com/*****",
		"https://hooks.contoso.com?token=s":          "https://hooks.contoso.com/*****",
		"https://hooks.contoso.com/?token=s":         "https://hooks.contoso.com/*****",
		"https://user:s@hooks.contoso.com":           "https://hooks.contoso.com",
		"https://[::1/s":                             "*****",
	} {
		if got := maskedURI(uri); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
}

func FuzzCheckURI(f *testing.F) {
	for _, s := range []string{"http://a", "https://a:1/b?c", "http://u@a", "http://[::1]", "http://%61", "HTTP://A", "http://a%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if checkURI(uri) != nil {
			return
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, uri, nil)
		if err != nil || req.URL.Hostname() == "" || req.URL.User != nil || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
			t.Errorf("%q was taken: %v", uri, err)
		}
	})
}

func TestMasked(t *testing.T) {
	s := receiver("https://hooks.contoso.com")
	s.Secret = "0123456789abcdef"
	s.CustomHeaders = map[string]string{"authorization": "Basic abc", "X-Api-Key": "abc", "X-Team": "red"}
	got := s.masked()
	if got.Secret != mask || got.CustomHeaders["authorization"] != mask || got.CustomHeaders["X-Api-Key"] != mask || got.CustomHeaders["X-Team"] != "red" {
		t.Errorf("%+v", got)
	}
	if s.CustomHeaders["authorization"] != "Basic abc" {
		t.Error("masking changed the subscription itself")
	}
}
