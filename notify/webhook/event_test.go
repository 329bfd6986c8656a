package webhook

import (
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// image is a push of app:v1 in westus.
func image(id string) Event {
	return Event{
		ID: id, Time: time.Date(2026, 11, 17, 16, 52, 1, 343145347, time.UTC), Action: subscription.Push,
		Region: "westus",
		Target: Target{MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 524, Digest: digest,
			Repository: "app",
			Tag:        "v1"},
		Request: Request{ID: "r1", Host: "registry.contoso.com", Method: "PUT", UserAgent: "docker/27 (linux; <a&b>)"},
	}
}

func TestEventCheck(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Event)
		want   string
	}{
		"fine":         {func(*Event) {}, ""},
		"no id":        {func(e *Event) { e.ID = "" }, "id must"},
		"long id":      {func(e *Event) { e.ID = strings.Repeat("a", maxID+1) }, "id must"},
		"no time":      {func(e *Event) { e.Time = time.Time{} }, "time is missing"},
		"long name":    {func(e *Event) { e.Target.Repository = strings.Repeat("a", maxField+1) }, "repository must"},
		"long request": {func(e *Event) { e.Request.UserAgent = strings.Repeat("a", 1<<20) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := image("e1")
			test.change(&e)
			wantError(t, e.check(), test.want)
		})
	}
}

// wantError wants an error that contains a text, or none where the text is empty.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func TestNamesOfCharts(t *testing.T) {
	for _, test := range []struct {
		config       string
		push, delete subscription.Action
	}{
		{"application/vnd.cncf.helm.config.v1+json", subscription.ChartPush, subscription.ChartDelete},
		{"application/vnd.oci.image.config.v1+json", subscription.Push, subscription.Delete},
		{"", subscription.Push, subscription.Delete},
	} {
		if p, d := PushOf(test.config), DeleteOf(test.config); p != test.push || d != test.delete {
			t.Errorf("%s: %s and %s", test.config, p, d)
		}
	}
}
