package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
)

func leavingFileOf(t *testing.T, names ...string) *configs.Config {
	t.Helper()
	data := "hostname: registry.example\ndns: {nameservers: [ns1.example]}\nreplicas:\n"
	for i, name := range names {
		home := map[bool]string{true: ", home: true"}[i == 0 && len(names) > 1]
		data += "  - {name: " + name + ", place: {lat: 1, lon: 2}, addresses: [192.0.2.1" + string(rune('0'+i)) +
			"], upstream: 'https://" + name + ".example:5000', storage: s3-" + name + home + "}\n"
	}
	path := filepath.Join(t.TempDir(), "fairlead.yaml")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func statesOf(c *configs.Config) map[string]string {
	all := map[string]string{}
	for _, r := range c.Replicas {
		all[r.Name] = r.State
	}
	return all
}

// TestLeavingOverRestarts: a replica that an edit takes away stays until it is let go, also if the edit, or a restart,
// comes while no gateway runs; and comes back as if nothing had been.
func TestLeavingOverRestarts(t *testing.T) {
	state, log := t.TempDir(), slog.New(slog.DiscardHandler)
	both, one := leavingFileOf(t, "west", "east"), leavingFileOf(t, "west")
	want := func(c *configs.Config, states map[string]string) {
		t.Helper()
		if got := statesOf(c); !reflect.DeepEqual(got, states) {
			t.Fatalf("%v, want %v", got, states)
		}
	}
	start := func(file *configs.Config) (*leaving, *configs.Config) {
		t.Helper()
		l, before := openLeaving(state, log)
		c := l.with(before, file)
		l.remember(c.Replicas)
		return l, c
	}
	stays := map[string]string{"west": "online", "east": configs.StateLeaving}
	_, c := start(both)
	want(c, map[string]string{"west": "online", "east": "online"})
	l, c := start(one)
	want(c, stays)
	since := l.began("east")
	east := c.Replicas[1]
	if east.Home || east.Incarnation() != both.Replicas[1].Incarnation() ||
		!reflect.DeepEqual(east.Addresses, both.Replicas[1].Addresses) || east.Place != both.Replicas[1].Place {
		t.Errorf("it is not what it was: %+v, %+v", east, both.Replicas[1])
	}
	l, c = start(one)
	want(c, stays)
	if !l.began("east").Equal(since) {
		t.Error("a restart has begun its leave anew")
	}
	want(l.with(c.Replicas, both), map[string]string{"west": "online", "east": "online"})

	l, c = start(one)
	l.done["east"] = true
	c = l.with(c.Replicas, one)
	want(c, map[string]string{"west": "online"})
	l.remember(c.Replicas)
	_, c = start(one)
	want(c, map[string]string{"west": "online"})

	if err := os.WriteFile(filepath.Join(state, fleetFile), []byte(`[{"replica": {`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, c = start(one)
	want(c, map[string]string{"west": "online"})
}

// TestComesBackWhileLetGo: an edit brings a replica back between the look whether it may go, and its going.
func TestComesBackWhileLetGo(t *testing.T) {
	e := newEdited(t)
	file := strings.Replace(e.text, "bias: 1}]", "bias: 1, home: true}", 1)
	file = strings.Replace(file, "replicas: [{", "replicas:\n  - {", 1)
	e.write(file + "  - {name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: \"http://127.0.0.1:2\"}\n")
	if l := e.reload(); l.Result != "ok" {
		t.Fatal(l)
	}
	before := e.ledger.Holder("east")
	if err := e.letReplicaGo("east", "on cue"); err == nil {
		t.Error("no error")
	}
	if after := e.ledger.Holder("east"); after != before || strings.Contains(e.log.String(), "has left") {
		t.Errorf("%s became %s: %s", before, after, &e.log)
	}
}

// TestManyLeaveOverRestarts: a fleet as large as a file may have it, of which one more leaves.
func TestManyLeaveOverRestarts(t *testing.T) {
	state, log := t.TempDir(), slog.New(slog.DiscardHandler)
	of := func(from int) *configs.Config {
		c := &configs.Config{}
		for i := from; i < from+256; i++ {
			c.Replicas = append(c.Replicas, configs.Replica{Name: fmt.Sprintf("r%d", i),
				Upstream: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}})
		}
		return c
	}
	l, _ := openLeaving(state, log)
	l.remember(of(0).Replicas)
	l, before := openLeaving(state, log)
	l.remember(l.with(before, of(1)).Replicas)
	if _, before = openLeaving(state, log); len(before) != 257 {
		t.Errorf("%d replicas after a restart, want 257", len(before))
	}
	file := filepath.Join(state, fleetFile)
	if err := os.WriteFile(file, []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, before = openLeaving(state, log); len(before) > 0 {
		t.Error("read from a damaged file: ", before)
	}
	if _, err := os.Stat(file + ".damaged"); err != nil {
		t.Error("it is not kept: ", err)
	}
}

// TestLetGo: a replica that the file has no more stays while what it has is not known, goes when somebody says so, and
// is a new registry should the file have it again. What the file has cannot be deleted. One that could not be taken away
// leaves as before.
func TestLetGo(t *testing.T) {
	e := newEdited(t)
	alone := strings.Replace(e.text, `bias: 1}]`, `bias: 1, home: true}`, 1)
	alone = strings.Replace(alone, "replicas: [{", "webhooks_ca: two.pem\nreplicas:\n  - {", 1)
	both := alone + "  - {name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: http://127.0.0.1:2}\n"
	states := func() (all []string) {
		for _, r := range e.live.config().Replicas {
			all = append(all, r.Name+" "+r.State)
		}
		return all
	}
	hide := func(name, as string) {
		if err := os.Rename(filepath.Join(e.dir, name), filepath.Join(e.dir, as)); err != nil {
			t.Fatal(err)
		}
	}
	deletes := func(name string) func() error { return func() error { return e.deleteReplica(name) } }
	for _, step := range []struct {
		what, file string
		do         func() error
		status     int // of the problem
		want       []string
	}{
		{"it comes", both, nil, 0, []string{"west online", "east online"}},
		{"the file has it", "", deletes("east"), 409, []string{"west online", "east online"}},
		{"nobody has it", "", deletes("mars"), 404, []string{"west online", "east online"}},
		{"it goes", alone, nil, 0, []string{"west online", "east leaving"}},
		{"it waits", "", func() error { e.letGo(); return nil }, 0, []string{"west online", "east leaving"}},
		{"the file has it again", both, nil, 0, []string{"west online", "east online"}},
		{"it goes again", alone, nil, 0, []string{"west online", "east leaving"}},
		{"it cannot be taken away", "", func() error {
			hide("two.pem", "hidden")
			defer hide("hidden", "two.pem")
			if e.deleteReplica("east") == nil {
				t.Error("the file is put in force without what it names")
			}
			return nil
		}, 0, []string{"west online", "east leaving"}},
		{"another edit", strings.Replace(alone, "bias: 1", "bias: 2", 1), nil, 0, []string{"west online", "east leaving"}},
		{"somebody says so", "", deletes("east"), 0, []string{"west online"}},
		{"it is gone", "", deletes("east"), 404, []string{"west online"}},
	} {
		holder := e.ledger.Holder("east")
		var err error
		if step.file != "" {
			e.write(step.file)
			if l := e.reload(); l.Result != admin.LoadedOK {
				t.Fatalf("%s: %+v", step.what, l)
			}
		} else {
			err = step.do()
		}
		var problem admin.Problem
		if errors.As(err, &problem); problem.Status != step.status || (err == nil) != (step.status == 0) {
			t.Errorf("%s: %v", step.what, err)
		}
		if got := states(); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.what, got, step.want)
		}
		renewed := e.ledger.Holder("east") != holder
		if renewed != (step.what == "somebody says so") && step.what != "it comes" {
			t.Errorf("%s: another registry: %t", step.what, renewed)
		}
	}
}
