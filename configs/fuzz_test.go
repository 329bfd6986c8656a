package configs

import (
	"errors"
	"os"
	"testing"
)

// FuzzParse holds what must be true of any file: no panic, an error is a bounded list of problems with a rule each,
// and a configuration without an error has what the rest of the program relies on.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"invalid-*.yaml", "valid-*.yaml"} {
		for _, file := range testFiles(f, pattern) {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			_, rest := splitWants(data)
			f.Add([]byte(rest))
		}
	}
	f.Add(Demo())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("testdata/fuzz.yaml", data)
		if err != nil {
			checkProblems(t, err)
			return
		}
		checkConfig(t, c)
		c.Warnings()
	})
}

func checkProblems(t *testing.T, err error) {
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 || len(problems) > maxProblems+1 {
		t.Fatalf("error %T %v", err, err)
	}
	for _, p := range problems {
		if p.Rule == "" || p.File == "" || len(p.Value) > maxShown+10 {
			t.Errorf("%+v", p)
		}
	}
}

func checkConfig(t *testing.T, c *Config) {
	homes := 0
	for _, r := range c.Replicas {
		if r.Name == "" || r.Upstream == nil || r.Upstream.Host == "" || len(r.Addresses) == 0 {
			t.Errorf("%+v", r)
		}
		for _, a := range r.Addresses {
			if !a.IsValid() || a.Is4In6() {
				t.Errorf("address %v", a)
			}
		}
		if r.Home {
			homes++
		}
	}
	if homes != 1 || c.Hostname == "" || c.DNS.TTL <= 0 || c.Health.Timeout <= 0 {
		t.Errorf("%+v", c)
	}
}
