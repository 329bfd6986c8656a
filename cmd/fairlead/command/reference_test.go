package command

import (
	"strings"
	"testing"
)

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for _, c := range []struct {
		text string
		want reference // without a repository: refused
	}{
		{"app:v1", reference{"", "app", "v1"}},
		{"app", reference{"", "app", "latest"}},
		{"team/app:v1", reference{"", "team/app", "v1"}},
		{"team/app@" + digest, reference{"", "team/app", digest}},
		{"team/app:v1@" + digest, reference{"", "team/app", digest}},
		{"registry.contoso.com/team/app:v1", reference{"registry.contoso.com", "team/app", "v1"}},
		{"127.0.0.1:5000/app:v1", reference{"127.0.0.1:5000", "app", "v1"}},
		{"localhost/app", reference{"localhost", "app", "latest"}},
		{"[::1]:5000/app:v1", reference{"[::1]:5000", "app", "v1"}},
		{"", reference{}}, {"App:v1", reference{}}, {"app:", reference{}}, {"app:v 1", reference{}},
		{"app@v1", reference{}}, {"app@sha256:12", reference{}},
		{"app:v1:v2", reference{}}, {"registry.contoso.com/", reference{}}, {"app:v1/x", reference{}},
		{"../app", reference{}}, {"https://registry.contoso.com/app", reference{}},
	} {
		got, err := parseReference(c.text)
		if (err == nil) != (c.want.repository != "") || err == nil && got != c.want {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
}
