package configs

import (
	"fmt"
	"slices"
	"testing"
)

func TestTargets(t *testing.T) {
	c, err := Parse("f.yaml", []byte(`
hostname: registry.example.test
proxy: {listen: [":8443"]}
health: {path: /healthz}
replicas:
  - {name: west, place: azure/westus, home: true, addresses: [192.0.2.1, "2001:db8::1"], upstream: "https://west.internal"}
  - {name: east, place: azure/eastus, addresses: [192.0.2.2], upstream: "http://east.internal:5000", host: east.example.test}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, target := range c.Targets() {
		got = append(got, fmt.Sprintf("%s %s as %s at %q", target.Replica, target.URL, target.Host, target.Dial))
	}
	want := []string{
		`west https://west.internal/healthz as registry.example.test at ""`,
		`west http://registry.example.test/v2/ as registry.example.test at "192.0.2.1:8443"`,
		`west http://registry.example.test/v2/ as registry.example.test at "[2001:db8::1]:8443"`,
		`east http://east.internal:5000/healthz as east.example.test at ""`,
		`east http://registry.example.test/v2/ as registry.example.test at "192.0.2.2:8443"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
