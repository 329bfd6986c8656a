package cluster

import (
	"maps"
	"slices"
)

// View is what one member sees of one replica.
type View struct {
	Upstream bool            `json:"u"` // whether it is up
	Fronts   map[string]bool `json:"f,omitempty"`
	Leaving  []string        `json:"l,omitempty"` // of its own fronts, those that are about to close
	Surveyed bool            `json:"s,omitempty"` // what it had before anybody recorded it was found out
}

// Bounds of one member's opinion: those of the configuration file.
const (
	maxReplicas = 256
	maxFronts   = 16
)

// opinion is one member's view of all replicas. The newest version that one process has given out counts.
type opinion struct {
	Member  string          `json:"m"`
	Boot    string          `json:"b"`
	Version uint64          `json:"n"`
	Views   map[string]View `json:"v,omitempty"`
}

func (o opinion) valid() bool {
	if !validName(o.Member) || len(o.Boot) > maxBoot || len(o.Views) > maxReplicas {
		return false
	}
	for replica, v := range o.Views {
		if !validName(replica) || len(v.Fronts) > maxFronts || len(v.Leaving) > maxFronts {
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

func cloneViews(views map[string]View) map[string]View {
	out := make(map[string]View, len(views))
	for replica, v := range views {
		out[replica] = View{v.Upstream, maps.Clone(v.Fronts), slices.Clone(v.Leaving), v.Surveyed}
	}
	return out
}

func equalViews(a, b map[string]View) bool {
	return maps.EqualFunc(a, b, func(v, w View) bool {
		return v.Upstream == w.Upstream && v.Surveyed == w.Surveyed && maps.Equal(v.Fronts, w.Fronts) && slices.Equal(v.Leaving, w.Leaving)
	})
}
