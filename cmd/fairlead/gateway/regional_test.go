package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
)

// TestRegionals: what commands may do with replicas, and what comes of it.
func TestRegionals(t *testing.T) {
	t.Parallel()
	echo, other := echoes(t, "west"), echoes(t, "east")
	r := run(t, echo.URL)
	api := regionalAPI{r.Gateway}
	reload := func(upstreams, replicas string) {
		t.Helper()
		base := r.base
		defer func() { r.base = base }()
		r.base = strings.Replace(base, "admin: {", "admin: {upstreams: ["+upstreams+"], ", 1)
		c := r.file(echo.URL, "", "", replicas)
		r.Gateway.file.mu.Lock()
		defer r.Gateway.file.mu.Unlock()
		if out := r.take(c, nil); out.Result == admin.LoadedRefused {
			t.Fatalf("%+v", out)
		}
	}
	west := fmt.Sprintf(west, echo.URL)
	reload("127.0.0.1", west)

	japan := admin.RegionalChange{Location: new("Japan East"), Tags: map[string]string{"team": "a"}}
	japan.Fairlead.Addresses, japan.Fairlead.Upstream = []string{"127.0.0.3"}, new(other.URL)
	with := func(edit func(c *admin.RegionalChange)) admin.RegionalChange {
		c := japan
		edit(&c)
		return c
	}
	var update admin.RegionalChange
	set := func(edit func(c *admin.RegionalChange)) admin.RegionalChange {
		c := update
		edit(&c)
		return c
	}
	create := func(name string, c admin.RegionalChange) func() error {
		return func() error { return api.Create(name, c, "eva") }
	}
	change := func(name string, edit func(c *admin.RegionalChange)) func() error {
		return func() error { return api.Update(name, set(edit), "eva") }
	}
	remove := func(name string) func() error { return func() error { return api.Delete(name, "eva") } }
	reset := func(name string, keys ...string) func() error {
		return func() error { return api.Reset(name, keys, "eva") }
	}
	for _, step := range []struct {
		name string
		do   func() error
		code int // of the problem; 0: it is done
		want string
	}{
		{"at an upstream that the file does not allow", create("japaneast", with(func(c *admin.RegionalChange) {
			c.Fairlead.Upstream = new("http://evil.example")
		})), 403, "west online home"},
		{"without an address", create("japaneast", with(func(c *admin.RegionalChange) { c.Fairlead.Addresses = nil })), 400,
			"west online home"},
		{"nowhere", create("japaneast", with(func(c *admin.RegionalChange) { c.Location = new("mars") })), 400,
			"west online home"},
		{"one that is there", create("west", japan), 409, "west online home"},
		{"made", create("japaneast", japan), 0, "west online home, japaneast online"},
		{"made again", create("japaneast", japan), 409, "west online home, japaneast online"},
		{"drained", change("west", func(c *admin.RegionalChange) { c.Fairlead.State = new("drain") }), 0,
			"west drain home, japaneast online"},
		{"nobody is left", change("japaneast", func(c *admin.RegionalChange) {
			c.Properties.RegionEndpointEnabled = new(false)
		}), 400, "west drain home, japaneast online"},
		{"no such state", change("japaneast", func(c *admin.RegionalChange) { c.Fairlead.State = new("asleep") }), 400,
			"west drain home, japaneast online"},
		{"nobody's", change("mars", func(*admin.RegionalChange) {}), 404, "west drain home, japaneast online"},
		{"home is deleted", remove("west"), 409, "west drain home, japaneast online"},
		{"home moves", change("japaneast", func(c *admin.RegionalChange) { c.Fairlead.Home = new(true) }), 0,
			"west drain, japaneast online home"},
		{"there is no home", change("japaneast", func(c *admin.RegionalChange) { c.Fairlead.Home = new(false) }), 400,
			"west drain, japaneast online home"},
		{"back to the file", reset("west", "state"), 0, "west online, japaneast online home"},
		{"home, too", reset("west"), 0, "west online home, japaneast online"},
		{"of what no file declares", reset("japaneast"), 404, "west online home, japaneast online"},
		{"deleted", remove("japaneast"), 0, "west online home, japaneast leaving"},
		{"deleted again", remove("japaneast"), 0, "west online home, japaneast leaving"},
		{"at once", func() error { return api.Force("japaneast") }, 0, "west online home"},
		{"deleted when it is gone", remove("japaneast"), 404, "west online home"},
	} {
		err := step.do()
		var problem admin.Problem
		if errors.As(err, &problem); problem.Status != step.code || (err == nil) != (step.code == 0) {
			t.Errorf("%s: %v", step.name, err)
		}
		var have []string
		for _, r := range r.live.config().Replicas {
			text := r.Name + " " + r.State
			if r.Home {
				text += " home"
			}
			have = append(have, text)
		}
		if got := strings.Join(have, ", "); got != step.want {
			t.Fatalf("%s: %s, want %s", step.name, got, step.want)
		}
		if listed := api.List(); len(listed) != len(have) {
			t.Errorf("%s: %d are listed", step.name, len(listed))
		}
	}
	var made []string
	for _, c := range api.Changes().Value {
		if c.By != "eva" || c.Through == "" || c.At.IsZero() {
			t.Errorf("%+v", c)
		}
		made = append(made, c.Key)
	}
	if !slices.Contains(made, "replicas[japaneast]") || !slices.Contains(made, "replicas[west].state") {
		t.Errorf("%q", made)
	}
}

// TestDeletedStaysDeleted: though its file declares it, until somebody takes that back; what is deleted is none of the
// fleet at the next start either.
func TestDeletedStaysDeleted(t *testing.T) {
	t.Parallel()
	echo, other := echoes(t, "west"), echoes(t, "east")
	r := run(t, echo.URL)
	api := regionalAPI{r.Gateway}
	two := fmt.Sprintf("{name: west, place: azure/westus, addresses: [127.0.0.1], upstream: %q, home: true}, "+
		"{name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: %q}", echo.URL, other.URL)
	take := func() {
		c := r.file(echo.URL, "", "", two)
		r.Gateway.file.mu.Lock()
		defer r.Gateway.file.mu.Unlock()
		r.take(c, nil)
	}
	names := func() (all []string) {
		for _, r := range r.live.config().Replicas {
			if r.State != configs.StateLeaving {
				all = append(all, r.Name)
			}
		}
		return all
	}
	take()
	if err := api.Delete("east", "eva"); err != nil {
		t.Fatal(err)
	}
	take()
	if got := names(); !slices.Equal(got, []string{"west"}) {
		t.Errorf("%q", got)
	}
	if err := api.Reset("east", nil, "eva"); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"west", "east"}) {
		t.Errorf("%q", got)
	}
}

// TestOverlayDenied: commands change nothing that a file declares, and say where it does; what no file declares is
// theirs.
func TestOverlayDenied(t *testing.T) {
	t.Parallel()
	echo, other := echoes(t, "west"), echoes(t, "east")
	r := run(t, echo.URL)
	api := regionalAPI{r.Gateway}
	r.base += "settings: {overlay: deny}\n"
	r.base = strings.Replace(r.base, "admin: {", "admin: {upstreams: [127.0.0.1], ", 1)
	c := r.file(echo.URL)
	r.Gateway.file.mu.Lock()
	r.take(c, nil)
	r.Gateway.file.mu.Unlock()
	var change admin.RegionalChange
	change.Fairlead.Bias = new(float64(3))
	var problem admin.Problem
	if err := api.Update("west", change, "eva"); !errors.As(err, &problem) || problem.Status != 409 ||
		!strings.Contains(problem.Detail, "fairlead.yaml:") {
		t.Errorf("%v", err)
	}
	made := admin.RegionalChange{Location: new("eastus")}
	made.Fairlead.Addresses, made.Fairlead.Upstream = []string{"127.0.0.3"}, new(other.URL)
	if err := errors.Join(api.Create("east", made, "eva"), api.Update("east", change, "eva")); err != nil {
		t.Error(err)
	}
	exported, err := api.Export()
	if err != nil {
		t.Fatal(err)
	}
	again, err := configs.Parse("exported.yaml", exported)
	if err != nil || len(again.Replicas) != 2 || again.Replicas[1].Bias != 3 || !again.Replicas[0].Home {
		t.Errorf("%v of\n%s", err, exported)
	}
}

// TestWhatWasOverruledBefore: a change that the file overrules since its last edit keeps nobody from another one, and is
// refused when it is repeated.
func TestWhatWasOverruledBefore(t *testing.T) {
	t.Parallel()
	echo, other := echoes(t, "west"), echoes(t, "east")
	r := run(t, echo.URL)
	r.base = strings.Replace(r.base, "admin: {", "admin: {upstreams: [127.0.0.1], ", 1)
	api := regionalAPI{r.Gateway}
	take := func(replicas string) {
		c := r.file(echo.URL, "", "", replicas)
		r.Gateway.file.mu.Lock()
		defer r.Gateway.file.mu.Unlock()
		r.take(c, nil)
	}
	one := fmt.Sprintf(west, echo.URL)
	take(one)
	east := admin.RegionalChange{Location: new("eastus")}
	east.Fairlead.Addresses, east.Fairlead.Upstream = []string{"127.0.0.3"}, new(other.URL)
	if err := api.Create("east", east, "eva"); err != nil {
		t.Fatal(err)
	}
	take(strings.Replace(one, "}", ", home: true}", 1) +
		fmt.Sprintf(", {name: first, place: azure/eastus, addresses: [127.0.0.3], upstream: %q}", other.URL))
	if note := r.sharedCheck().Note; !strings.HasPrefix(note, "east: ") {
		t.Errorf("overruled: %q", note)
	}
	var bias admin.RegionalChange
	bias.Fairlead.Bias = new(float64(2))
	if err := api.Update("west", bias, "eva"); err != nil {
		t.Error(err)
	}
	var problem admin.Problem
	if err := api.Create("east", east, "eva"); !errors.As(err, &problem) || problem.Status != 400 {
		t.Errorf("it is repeated: %v", err)
	}
}
