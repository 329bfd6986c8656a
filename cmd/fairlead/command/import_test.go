package command

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer/graph"
)

func TestTargetsOf(t *testing.T) {
	source, hosts := reference{"docker.io", "library/app", "v1"}, []string{"registry.contoso.com", "127.0.0.1:5000"}
	for _, c := range []struct {
		images []string
		want   []target // nil: refused
	}{
		{nil, []target{{"library/app", []string{"v1"}}}},
		{[]string{"app:v1", "other", "app:latest", "app:v1"},
			[]target{{"app", []string{"v1", "latest"}}, {"other", []string{"latest"}}}},
		{[]string{"registry.contoso.com/app:v1", "127.0.0.1:5000/app:v2"}, []target{{"app", []string{"v1", "v2"}}}},
		{[]string{"elsewhere.test/app:v1"}, nil},
		{[]string{"eastus.registry.contoso.com/app:v1"}, nil},
		{[]string{"app@sha256:" + strings.Repeat("0", 64)}, nil},
		{[]string{"App"}, nil},
	} {
		got, err := targetsOf(c.images, source, hosts)
		if !reflect.DeepEqual(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%v: %v, %v", c.images, got, err)
		}
	}
	source.name = "sha256:" + strings.Repeat("0", 64)
	if got, err := targetsOf(nil, source, hosts); err == nil {
		t.Errorf("no tag: %v", got)
	}
}

func TestImportSource(t *testing.T) {
	for _, c := range []struct {
		importing
		url string // "": refused
	}{
		{importing{source: "docker.io/library/app:v1"}, "https://registry-1.docker.io"},
		{importing{source: "registry.contoso.com/app"}, "https://registry.contoso.com"},
		{importing{source: "127.0.0.1:5005/app:v1"}, "http://127.0.0.1:5005"},
		{importing{source: "localhost:5005/app:v1"}, "http://localhost:5005"},
		{importing{source: "https://localhost:5005/app:v1"}, "https://localhost:5005"},
		{importing{source: "http://registry.contoso.com/app", username: "u", password: "p"},
			"http://registry.contoso.com"},
		{importing{source: ""}, ""},
		{importing{source: "app:v1"}, ""},
		{importing{source: "ftp://registry.contoso.com/app"}, ""},
		{importing{source: "registry.contoso.com/app", username: "u"}, ""},
	} {
		from, _, err := c.from()
		if (err != nil) != (c.url == "") || err == nil && from.Replica.URL.String() != c.url {
			t.Errorf("%+v: %v, %v", c.importing, from.Replica.URL, err)
		}
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		p    graph.Progress
		want string
	}{
		{graph.Progress{}, "app [--------------------]   0 % of 0 B, 0 B/s, 0 of 0 blobs"},
		{graph.Progress{Bytes: 512, Of: 1024, Moved: 256, Blobs: 1, Known: 2, Found: 1},
			"app [##########----------]  50 % of 1.0 KiB, 128 B/s, 1 of 2 blobs"},
		{graph.Progress{Bytes: 3 << 30, Of: 3 << 30, Blobs: 2, Known: 2},
			"app [####################] 100 % of 3.0 GiB, 0 B/s, 2 of 2 blobs"},
	} {
		if got := bar("app", c.p, 2*time.Second); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

// TestForceIsNamed: whoever meets a tag that is in the way is told what to do about it.
func TestForceIsNamed(t *testing.T) {
	for err, want := range map[error]bool{
		&graph.ConflictError{Tag: "v1"}:                           true,
		&graph.UnseenError{Tag: "v1", Err: errors.New("gateway")}: true,
		errors.New("broken"):                                      false,
	} {
		got := importLine{}.end(io.Discard, nil, "", err, graph.Progress{})
		if strings.Contains(got.Error(), "--force") != want {
			t.Error(got)
		}
	}
}
