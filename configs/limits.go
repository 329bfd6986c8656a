package configs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Bounds of proxy.limits.manifest, in bytes. Registries must take 4 MiB (OCI distribution spec 1.1, "Pushing Manifests").
const (
	leastManifest = 1 << 20
	mostManifest  = 64 << 20
)

func defaultLimits() Limits {
	return Limits{Manifest: 8 << 20, FirstByte: 4500 * time.Millisecond, Lists: 30 * time.Second, Silence: 5 * time.Minute}
}

func (d *decoder) limits(to *Limits) field {
	return d.section(fields{
		"manifest":   d.size(&to.Manifest, leastManifest, mostManifest),
		"first_byte": d.duration(&to.FirstByte, 500*time.Millisecond, 5*time.Minute),
		"lists":      d.duration(&to.Lists, 500*time.Millisecond, 10*time.Minute),
		"silence":    d.duration(&to.Silence, 10*time.Second, 24*time.Hour),
	})
}

// sizeUnits are those of Kubernetes and IEC 80000-13. "MB" means one thing to some and another to others.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

// size takes a whole number of KiB, MiB or GiB, from least to most bytes, both included. A bare number is refused: it may
// mean bytes or megabytes.
func (d *decoder) size(to *int64, least, most int64) field {
	return func(path string, n *yaml.Node) {
		v, ok := parseSize(n.Value)
		switch {
		case n.Kind != yaml.ScalarNode, !ok:
			d.refuse(path, ruleSize)
		case v < least || v > most:
			d.refuse(path, fmt.Sprintf(ruleRange, sizeText(least), sizeText(most)))
		default:
			*to = v
		}
	}
}

func parseSize(s string) (bytes int64, ok bool) {
	for _, unit := range sizeUnits {
		number, found := strings.CutSuffix(s, unit.name)
		if n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 31); found && err == nil {
			return int64(n) * unit.bytes, true
		}
	}
	return 0, false
}

// sizeText is a size in the largest unit that has it whole.
func sizeText(bytes int64) string {
	text := strconv.FormatInt(bytes, 10)
	for _, unit := range sizeUnits {
		if bytes%unit.bytes == 0 {
			text = strconv.FormatInt(bytes/unit.bytes, 10) + unit.name
		}
	}
	return text
}
