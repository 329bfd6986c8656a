package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/settings"
)

// regionalAPI is what commands ask of replicas.
type regionalAPI struct{ *Gateway }

func (g regionalAPI) List() []admin.Regional {
	out := []admin.Regional{}
	progress := map[string]admin.Progress{}
	for _, p := range g.replicationStatus().Replicas {
		progress[p.Replica] = p
	}
	fleet, store := g.reached()(), g.shared.store.Load()
	g.file.mu.Lock()
	declared := g.file.good.Replicas
	g.file.mu.Unlock()
	for _, r := range g.live.config().Replicas {
		addresses, tags := []string{}, map[string]string{}
		for _, a := range r.Addresses {
			addresses = append(addresses, a.String())
		}
		maps.Copy(tags, store.Replicas[r.Name].Tags)
		out = append(out, admin.Regional{
			ID: "/replications/" + r.Name, Name: r.Name, Type: "Fairlead/replications", Location: locationOf(r.Place),
			Tags: tags,
			Fairlead: admin.RegionalOurs{
				Place: placeText(r.Place), Addresses: addresses, Upstream: r.Upstream.String(), Home: r.Home,
				State: r.State, Write: r.Write, Bias: r.Bias, Overlaid: append([]string{}, g.overlaid(r.Name)...),
				Declared: slices.ContainsFunc(declared, func(d configs.Replica) bool { return d.Name == r.Name }),
			},
			Properties: stateOf(r, fleet.Replica(r.Name), progress[r.Name]),
		})
	}
	return out
}

// stateOf says how a replica is, in the words of ARM.
func stateOf(r configs.Replica, seen *router.Replica, p admin.Progress) admin.RegionalState {
	provisioning, status, message := "Succeeded", p.State, ""
	switch {
	case r.State == configs.StateLeaving:
		provisioning, message = "Deleting", "it waits for: "+p.WaitsFor
	case seen == nil || !seen.Upstream.Up:
		status, message = "Unavailable", "its registry does not answer"
	case r.State == configs.StateOffline:
		status = "Offline"
	case p.State == "Provisioning":
		provisioning = "Creating"
	case p.Entries > 0:
		message = fmt.Sprintf("%d tags, manifests and deletions are yet to come", p.Entries)
	}
	return admin.RegionalState{
		ProvisioningState: provisioning, RegionEndpointEnabled: r.State == configs.StateOnline, ZoneRedundancy: "Disabled",
		Status: admin.RegionalStatus{DisplayStatus: status, Message: message,
			Timestamp: time.Now().UTC().Truncate(time.Second)},
	}
}

// locationOf is a place's name without its cloud; "": it is a point.
func locationOf(p configs.Place) string {
	_, name, _ := strings.Cut(p.Name, "/")
	return cmp.Or(name, p.Name)
}

func placeText(p configs.Place) string {
	if p.Name != "" {
		return p.Name
	}
	return fmt.Sprintf("%v,%v", p.Point.Lat, p.Point.Lon)
}

func (g regionalAPI) Get(name string) (admin.Regional, error) {
	for _, r := range g.List() {
		if r.Name == name {
			return r, nil
		}
	}
	return admin.Regional{}, noReplica(name)
}

func noReplica(name string) error {
	return admin.Problem{Status: 404, Detail: "there is no replica " + name}
}

// Create makes a replica that no file declares.
func (g regionalAPI) Create(name string, c admin.RegionalChange, by string) error {
	return g.changeShared(by, func(s settings.Store) (settings.Store, []settings.Write, error) {
		have := s.Replicas[name]
		if g.known(name) {
			return s, nil, admin.Problem{Status: 409, Detail: "there is a replica " + name}
		}
		if c.Location == nil || len(c.Fairlead.Addresses) == 0 || c.Fairlead.Upstream == nil {
			return s, nil, admin.Problem{Status: 400, Detail: "location, addresses and upstream are needed"}
		}
		if err := g.mayReach(*c.Fairlead.Upstream); err != nil {
			return s, nil, err
		}
		if have.Deleted { // that was the file's
			have = settings.Replica{}
		}
		have.Made, have.Keys = true, keysOf(c)
		have.Tags = c.Tags
		have.Keys["place"] = placeNamed(*c.Location)
		return write(s, name, have, c)
	})
}

// Update changes a replica. What is nil stays.
func (g regionalAPI) Update(name string, c admin.RegionalChange, by string) error {
	return g.changeShared(by, func(s settings.Store) (settings.Store, []settings.Write, error) {
		switch {
		case !g.known(name):
			return s, nil, noReplica(name)
		case c.Location != nil:
			return s, nil, admin.Problem{Status: 400, Detail: "a replica does not move: make another one"}
		case c.Fairlead.Home != nil && !*c.Fairlead.Home:
			return s, nil, admin.Problem{Status: 400, Detail: "there is always a home: say of another replica that it is"}
		}
		if c.Fairlead.Upstream != nil {
			if err := g.mayReach(*c.Fairlead.Upstream); err != nil {
				return s, nil, err
			}
		}
		if err := g.overlayDenied(name); err != nil {
			return s, nil, err
		}
		have := s.Replicas[name]
		keys := maps.Clone(have.Keys)
		if keys == nil {
			keys = map[string]any{}
		}
		maps.Copy(keys, keysOf(c))
		have.Keys = keys
		if c.Tags != nil {
			have.Tags = c.Tags
		}
		return write(s, name, have, c)
	})
}

func write(s settings.Store, name string, r settings.Replica, c admin.RegionalChange) (
	settings.Store, []settings.Write, error,
) {
	next, w := s.With(name, r, latest)
	writes := []settings.Write{w}
	if c.Fairlead.Home != nil && *c.Fairlead.Home {
		var home settings.Write
		next, home = next.WithHome(name)
		writes = append(writes, home)
	}
	return next, writes, nil
}

// latest is of what is about to be written: it comes after all that was.
var latest = hlc.Stamp{WallMS: 1 << 62}

// Delete has a replica leave: it goes once nothing is only there.
func (g regionalAPI) Delete(name, by string) error {
	return g.changeShared(by, func(s settings.Store) (settings.Store, []settings.Write, error) {
		all := g.live.config().Replicas
		i := slices.IndexFunc(all, func(r configs.Replica) bool { return r.Name == name })
		switch {
		case i < 0:
			return s, nil, noReplica(name)
		case all[i].State == configs.StateLeaving:
			return s, nil, nil
		case all[i].Home:
			return s, nil, admin.Problem{Status: 409, Detail: name + " is the home replica: have another one be it first"}
		}
		if err := g.overlayDenied(name); err != nil {
			return s, nil, err
		}
		gone := settings.Replica{}
		if slices.ContainsFunc(g.file.good.Replicas, func(r configs.Replica) bool { return r.Name == name }) {
			gone.Deleted = true
		}
		next, w := s.With(name, gone, latest)
		return next, []settings.Write{w}, nil
	})
}

// Reset takes back what commands changed of a replica that a file declares: some keys, or all of it if there are none.
func (g regionalAPI) Reset(name string, keys []string, by string) error {
	return g.changeShared(by, func(s settings.Store) (settings.Store, []settings.Write, error) {
		have, changed := s.Replicas[name]
		if !slices.ContainsFunc(g.file.good.Replicas, func(r configs.Replica) bool { return r.Name == name }) {
			return s, nil, admin.Problem{Status: 404, Detail: "no file declares a replica " + name}
		}
		var writes []settings.Write
		left := settings.Replica{}
		if len(keys) > 0 {
			left = have
			left.Keys = maps.Clone(have.Keys)
			for _, key := range keys {
				delete(left.Keys, key)
			}
		}
		if changed {
			var w settings.Write
			s, w = s.With(name, left, latest)
			writes = append(writes, w)
		}
		if s.Home != "" && (len(keys) == 0 || slices.Contains(keys, "home")) {
			var w settings.Write
			s, w = s.WithHome("")
			writes = append(writes, w)
		}
		return s, writes, nil
	})
}

// Force does not wait for a replica that leaves.
func (g regionalAPI) Force(name string) error { return g.deleteReplica(name) }

// Changes lists who changed what.
func (g regionalAPI) Changes() admin.Changes { return g.changesMade() }

// overlayDenied keeps commands from what a file declares, where that says so. It is called with file.mu.
func (g regionalAPI) overlayDenied(name string) error {
	file := g.file.good
	at := file.DeclaredAt(name)
	if file.Settings.Overlay != configs.OverlayDeny || at == "" {
		return nil
	}
	return admin.Problem{Status: 409,
		Detail: fmt.Sprintf("%s declares %s, and `settings.overlay` is deny: change it there", at, name)}
}

// Export is the fleet as it is in force, as a file.
func (g regionalAPI) Export() ([]byte, error) { return g.live.config().Export() }

// known: it is called with file.mu.
func (g regionalAPI) known(name string) bool {
	return slices.ContainsFunc(g.live.config().Replicas, func(r configs.Replica) bool {
		return r.Name == name && r.State != configs.StateLeaving
	})
}

// keysOf are the keys of the file that a change sets.
func keysOf(c admin.RegionalChange) map[string]any {
	keys := map[string]any{}
	f := c.Fairlead
	if len(f.Addresses) > 0 {
		keys["addresses"] = f.Addresses
	}
	if f.Upstream != nil {
		keys["upstream"] = *f.Upstream
	}
	if enabled := c.Properties.RegionEndpointEnabled; enabled != nil {
		keys["state"] = configs.StateDrain
		if *enabled {
			keys["state"] = configs.StateOnline
		}
	}
	if f.State != nil {
		keys["state"] = *f.State
	}
	if f.Write != nil {
		keys["write"] = *f.Write
	}
	if f.Bias != nil {
		keys["bias"] = *f.Bias
	}
	return keys
}

// placeNamed is a place as a file names it: azure/westus of westus, or of "West US".
func placeNamed(location string) string {
	if strings.Contains(location, "/") {
		return location
	}
	return "azure/" + strings.ToLower(strings.ReplaceAll(location, " ", ""))
}

// mayReach keeps whoever may change replicas from leading clients' passwords and content wherever they like: an
// upstream has to be at a host that the file allows.
func (g regionalAPI) mayReach(upstream string) error {
	if g.file.good.Admin.AllowsUpstream(upstream) {
		return nil
	}
	return admin.Problem{Status: 403, Detail: "the upstream is at no host that `admin.upstreams` of the file allows: " +
		"whoever names one gets the passwords of clients"}
}
