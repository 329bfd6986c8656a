package configs_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/fairlead-gateway/fairlead/configs"
)

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "fairlead-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "fairlead.yaml")
	if err := os.WriteFile(file, []byte(`
hostname: registry.contoso.com
replicas:
  - {name: westus, place: azure/westus, addresses: [203.0.113.10], upstream: "https://registry.westus.internal"}
`), 0o600); err != nil {
		panic(err)
	}
	c, err := configs.Load(file)
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Hostname, c.DNS.Listen, c.Replicas[0].Name, c.Replicas[0].Home)
	// Output: registry.contoso.com [:53] westus true
}

// All that is wrong with a file is said at once.
func ExampleParse() {
	_, err := configs.Parse("fairlead.yaml", []byte(`
hostname: registry
dns: {ttl: 60, listne: [":53"]}
`))
	fmt.Println(err)
	// Output:
	// fairlead.yaml:1: replicas: is missing
	// fairlead.yaml:2: hostname: must be a full host name of two labels or more, the last of them no number (got "registry")
	// fairlead.yaml:3: dns.ttl: needs a duration with a unit, such as 90s or 5m (got "60")
	// fairlead.yaml:3: dns.listne: unknown key; did you mean listen?
}
