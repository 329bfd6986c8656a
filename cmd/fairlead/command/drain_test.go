package command

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
)

func TestDrainText(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		drain admin.Drain
		want  string
	}{
		{admin.Drain{}, "not draining: DNS sends clients here"},
		{admin.Drain{Draining: true, Fronts: []string{"192.0.2.1", "192.0.2.2"}, Forgotten: now.Add(61 * time.Second)},
			"draining: DNS does not name 192.0.2.1, 192.0.2.2; what it said before is forgotten in 1m1s"},
		{admin.Drain{Draining: true, Fronts: []string{"192.0.2.1"}, Forgotten: now.Add(-time.Hour)},
			"draining: DNS does not name 192.0.2.1; what it said before is forgotten"},
		{admin.Drain{Draining: true, Forgotten: now}, "draining: which addresses are its own it cannot know, so that " +
			"others hear of it by their probes alone; what it said before is forgotten"},
		{admin.Drain{Draining: true, Shared: true, Fronts: []string{"192.0.2.1"}}, "draining: another gateway is " +
			"behind the same address, which DNS goes on to name; /readyz tells whoever hands out connections"},
	} {
		if got := drainText(test.drain, now); got != test.want {
			t.Errorf("%+v:\n%s, want\n%s", test.drain, got, test.want)
		}
	}
}

func TestDrainCommand(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/drain" {
			t.Errorf("%s is asked", r.URL)
		}
		switch r.Method {
		case http.MethodPost:
			_, _ = io.WriteString(w, `{"draining": true, "fronts": ["192.0.2.1"]}`)
		case http.MethodDelete:
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"detail": "this gateway stops already"}`)
		}
	}))
	defer s.Close()
	for _, test := range []struct {
		args      []string
		out, fail string
	}{
		{nil, "draining: DNS does not name 192.0.2.1", ""},
		{[]string{"-o", "json"}, `"draining": true`, ""},
		{[]string{"--cancel"}, "", "this gateway stops already"},
	} {
		var out bytes.Buffer
		cmd := drainCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetOut(&out)
		cmd.SetArgs(append(test.args, "--admin", s.URL))
		err := cmd.Execute()
		if (err != nil) != (test.fail != "") || err != nil && !strings.Contains(err.Error(), test.fail) ||
			!strings.Contains(out.String(), test.out) {
			t.Errorf("%v: %q, %v", test.args, out.String(), err)
		}
	}
}
