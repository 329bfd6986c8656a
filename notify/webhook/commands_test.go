package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	s := openSite(t, setup{dir: dir, inFile: []subscription.Subscription{named("FromFile", "http://f")}})
	sub := named("Commanded", "http://a/in")
	sub.Status, sub.Secret, sub.CustomHeaders = "", "0123456789abcdef", map[string]string{"Authorization": "Basic abc"}
	got, err := s.Create(sub)
	if err != nil || got.Status != subscription.Enabled || got.Secret != subscription.Mask ||
		got.CustomHeaders["Authorization"] != subscription.Mask || got.InFile {
		t.Errorf("%+v %v", got, err)
	}
	scope, bad := "app:*", "*"
	for name, test := range map[string]struct {
		err  error
		want error
	}{
		"the same":              {second(s.Create(sub)), ErrExists},
		"the same in caps":      {second(s.Create(named("COMMANDED", "http://b"))), ErrExists},
		"the file's":            {second(s.Create(named("fromfile", "http://b"))), ErrExists},
		"an invalid one":        {second(s.Create(named("a", "http://b"))), subscription.ErrInvalid},
		"update":                {second(s.Update("commanded", Change{Scope: &scope})), nil},
		"update wrongly":        {second(s.Update("commanded", Change{Scope: &bad})), subscription.ErrInvalid},
		"update the file's":     {second(s.Update("fromFile", Change{Scope: &scope})), ErrInFile},
		"update nobody":         {second(s.Update("nobody", Change{})), ErrUnknown},
		"delete the file's":     {s.Delete("fromFile"), ErrInFile},
		"delete nobody":         {s.Delete("nobody"), ErrUnknown},
		"show nobody":           {second(s.Get("nobody")), ErrUnknown},
		"ping nobody":           {second(s.Ping("nobody")), ErrUnknown},
		"list events of nobody": {second(s.ListEvents("nobody")), ErrUnknown},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v", name, test.err)
		}
	}
	s.Close()

	s = openSite(t, setup{dir: dir, inFile: []subscription.Subscription{named("FromFile", "http://f")}})
	list := s.List()
	if len(list) != 2 || list[0].Name != "Commanded" || list[0].Scope != "app:*" ||
		list[0].ServiceURI != "http://a/*****" || list[0].InFile || !list[1].InFile {
		t.Errorf("%+v", list)
	}
	if kept := s.subscriptions["commanded"]; kept.Secret != sub.Secret || kept.ServiceURI != "http://a/in" ||
		kept.CustomHeaders["Authorization"] != "Basic abc" {
		t.Errorf("%+v", kept)
	}
	if err := s.Delete("COMMANDED"); err != nil || len(s.List()) != 1 {
		t.Errorf("%v %v", err, s.List())
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestChange(t *testing.T) {
	s := openSite(t, setup{})
	sub := receiver("http://a")
	sub.CustomHeaders = map[string]string{"A": "b"}
	s.create(t, sub)
	uri, none, off := "http://b", "", subscription.Disabled
	got, err := s.Update("hook1", Change{ServiceURI: &uri, Scope: &none, Status: &off,
		CustomHeaders: map[string]string{},
		Actions:       []subscription.Action{subscription.Delete}})
	if err != nil || got.ServiceURI != uri || got.Status != subscription.Disabled || len(got.CustomHeaders) != 0 ||
		len(got.Actions) != 1 {
		t.Errorf("%+v %v", got, err)
	}
	got, err = s.Update("hook1", Change{})
	if err != nil || got.ServiceURI != uri || got.Status != subscription.Disabled || len(got.Actions) != 1 {
		t.Errorf("nothing to change: %+v %v", got, err)
	}
}

func TestTooMany(t *testing.T) {
	s := openSite(t, setup{})
	s.store.db.NoSync = true
	for i := range subscription.MaxSubscriptions {
		s.create(t, named(fmt.Sprintf("hook%03d", i), "http://a"))
	}
	if _, err := s.Create(named("onemore", "http://a")); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
}

func TestPing(t *testing.T) {
	var box inbox
	synctest.Test(t, func(t *testing.T) {
		sub := receiver("http://a")
		sub.Actions, sub.Scope = []subscription.Action{subscription.Delete}, "other:v1"
		s := openSite(t, setup{inFile: []subscription.Subscription{sub, named("hook2", "http://b")}})
		s.transport = wire(func(r *http.Request) (*http.Response, error) {
			box.take(r)
			return status(200), nil
		})
		stop := s.run(t)
		id, err := s.Ping("HOOK1")
		synctest.Wait()
		if err != nil ||
			!regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
			t.Error(id, err)
		}
		if got := box.all(); len(got) != 1 || got[0].id != id || !strings.Contains(got[0].body, `"action":"ping"`) {
			t.Errorf("%+v", got)
		}
		stop()
		s.Close()
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	taken := t.TempDir()
	openSite(t, setup{dir: taken})
	garbage := t.TempDir()
	os.WriteFile(filepath.Join(garbage, fileName), []byte(strings.Repeat("garbage", 10_000)), 0o600)
	notThere := filepath.Join(t.TempDir(), "file")
	os.WriteFile(notThere, nil, 0o600)
	for name, test := range map[string]struct {
		setup
		want string
	}{
		"a directory that another has": {setup{dir: taken}, "another process"},
		"garbage":                      {setup{dir: garbage}, ErrDamaged.Error()},
		"a file for a directory":       {setup{dir: notThere}, "not a directory"},
		"an invalid webhook":           {setup{inFile: []subscription.Subscription{named("a", "ftp://a")}}, "https://"},
		"two of a name": {setup{inFile: []subscription.Subscription{named("hook1", "http://a"),
			named("Hook1", "http://b")}}, "two are called Hook1"},
	} {
		_, err := tryOpen(t, test.setup)
		if wantError(t, err, test.want); t.Failed() {
			t.Fatal(name)
		}
	}
	openSite(t, setup{dir: garbage})
	if _, err := os.Stat(filepath.Join(garbage, fileName+".damaged")); err != nil {
		t.Error(err)
	}
}

// A webhook outlives its region, and can be changed without it.
func TestRegionGone(t *testing.T) {
	s := openSite(t, setup{})
	s.regions = []string{"westus"}
	sub := receiver("http://a")
	sub.Location = "westus"
	s.create(t, sub)
	s.regions = []string{"eastus"}
	off := subscription.Disabled
	if _, err := s.Update("hook1", Change{Status: &off}); err != nil {
		t.Error(err)
	}
	sub.Name = "hook2"
	if _, err := s.Create(sub); !errors.Is(err, subscription.ErrInvalid) {
		t.Error(err)
	}
}

func TestTemporary(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := openStore("", 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("a process that is killed now leaves %v", left)
	}
	if _, err := s.subscriptions(); err != nil {
		t.Error(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
