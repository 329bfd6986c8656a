package oci

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	for _, c := range []struct {
		name                    string
		repository, tag, digest bool
	}{
		{"", false, false, false},
		{"app", true, true, false},
		{"team/app", true, false, false},
		{"team//app", false, false, false},
		{"team/app/", false, false, false},
		{"a__b.c-d---e", true, true, false},
		{"a___b", false, true, false},
		{"a..b", false, true, false},
		{"_app", false, true, false},
		{"-app", false, false, false},
		{"App", false, true, false},
		{"app\n", false, false, false},
		{strings.Repeat("a", 128), true, true, false},
		{strings.Repeat("a", 129), true, false, false},
		{strings.Repeat("a", 255), true, false, false},
		{strings.Repeat("a", 256), false, false, false},
		{"sha256:" + hex, false, false, true},
		{"sha256:" + strings.ToUpper(hex), false, false, false},
		{"sha256:" + hex + "0", false, false, false},
		{"sha512:" + hex + hex, false, false, true},
		{"sha512:" + hex, false, false, false},
		{"blake3:" + hex, false, false, true},
		{"a+b.c:A_-=", false, false, true},
		{"a+:b", false, false, false},
		{"a:b/c", false, false, false},
		{"a:" + strings.Repeat("b", 510), false, false, true},
		{"a:" + strings.Repeat("b", 511), false, false, false},
	} {
		if got := IsRepository(c.name); got != c.repository {
			t.Errorf("repository %.300q: %v", c.name, got)
		}
		if got := IsTag(c.name); got != c.tag {
			t.Errorf("tag %.300q: %v", c.name, got)
		}
		if got := MayBeDigest(c.name); got != c.digest {
			t.Errorf("digest %.300q: %v", c.name, got)
		}
	}
}
