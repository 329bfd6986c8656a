package configs

import _ "embed"

//go:embed demo.yaml
var demo string

// Demo is the file of `fairlead demo`: four replicas, all on loopback.
func Demo() []byte { return []byte(demo) }
