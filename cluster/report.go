package cluster

import (
	"maps"
	"slices"
)

// Report is what one member says of one replica's health.
type Report struct {
	Upstream bool            `json:"u"` // whether it is up
	Fronts   map[string]bool `json:"f,omitempty"`
	Leaving  []string        `json:"l,omitempty"` // of its own fronts, those that are about to close
	Surveyed string          `json:"s,omitempty"` // the registry, where what it had before anybody recorded it was found out
}

// Bounds of one member's report: those of the configuration file.
const (
	maxReplicas = 256
	maxFronts   = 16
)

// memberReport is what one member reports of all replicas. The newest version that one process has given out counts.
type memberReport struct {
	Member   string            `json:"m"`
	Boot     string            `json:"b"`
	Version  uint64            `json:"n"`
	Replicas map[string]Report `json:"v,omitempty"`
}

func (r memberReport) valid() bool {
	if !validName(r.Member) || len(r.Boot) > maxBoot || len(r.Replicas) > maxReplicas {
		return false
	}
	for replica, v := range r.Replicas {
		if !validName(replica) || v.Surveyed != "" && !validName(v.Surveyed) || len(v.Fronts) > maxFronts || len(v.Leaving) > maxFronts {
			return false
		}
		for _, front := range slices.AppendSeq(slices.Clone(v.Leaving), maps.Keys(v.Fronts)) {
			if !validName(front) {
				return false
			}
		}
	}
	return true
}

func cloneReports(replicas map[string]Report) map[string]Report {
	out := make(map[string]Report, len(replicas))
	for replica, v := range replicas {
		out[replica] = Report{v.Upstream, maps.Clone(v.Fronts), slices.Clone(v.Leaving), v.Surveyed}
	}
	return out
}

func equalReports(a, b map[string]Report) bool {
	return maps.EqualFunc(a, b, func(v, w Report) bool {
		return v.Upstream == w.Upstream && v.Surveyed == w.Surveyed &&
			maps.Equal(v.Fronts, w.Fronts) && slices.Equal(v.Leaving, w.Leaving)
	})
}
