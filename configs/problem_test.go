package configs

import (
	"strings"
	"testing"
)

func TestProblemString(t *testing.T) {
	tests := []struct {
		problem Problem
		want    string
	}{
		{Problem{File: "f.yaml", Line: 3, Field: "dns.ttl", Value: "60", Rule: "needs a unit"},
			`f.yaml:3: dns.ttl: needs a unit (got "60")`},
		{Problem{File: "f.yaml", Line: 3, Field: "dns.ttl", Rule: "is missing"}, `f.yaml:3: dns.ttl: is missing`},
		{Problem{File: "f.yaml", Line: 1, Rule: "the file is empty"}, `f.yaml:1: the file is empty`},
		{Problem{File: "f.yaml", Rule: "larger than 5 bytes"}, `f.yaml: larger than 5 bytes`},
	}
	for _, tt := range tests {
		if got := tt.problem.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestShownMasksSecrets(t *testing.T) {
	tests := []struct{ value, want string }{
		{"", ""},
		{"https://registry.internal", "https://registry.internal"},
		{"https://ops:s3cret@registry.internal", "https://***@registry.internal"},
		{"https://ops:s3/cr@et@registry.internal", "https://***@registry.internal"},
		{"https://ops:s3?cret@registry.internal", "https://***@registry.internal"},
		{"ops:s3cret@registry.internal", "***@registry.internal"},
		{"https://registry.internal/?token=s3cret", "https://registry.internal/?***"},
		{strings.Repeat("é", 60), strings.Repeat("é", 40) + "…"},
	}
	for _, tt := range tests {
		if got := shown(tt.value); got != tt.want {
			t.Errorf("shown(%q) = %q, want %q", tt.value, got, tt.want)
		}
	}
}
