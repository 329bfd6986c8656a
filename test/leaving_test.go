package test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestComesAndGoes: a replica that the file has from now on is filled and named by DNS to those it is nearest to,
// drains, and leaves, all while clients push and pull. Nothing is lost that only it had, and of which no gateway has a
// record.
func TestComesAndGoes(t *testing.T) {
	t.Parallel()
	long(t)
	c := startChanged(t)
	built(t, fairleadProgram) // the command that is asked while the replica is filled
	images := newImages(t, 5)
	for i, image := range images {
		must(t, cranePush(t, image, fmt.Sprintf("%s/before-%d:v1", c.listen, i)))
	}
	fourth := withUpstreams(append(slices.Clone(splitReplicas), replica{name: "japaneast", place: "azure/japaneast"}),
		c.registries)[3]
	f := c.file
	f.networks = append(slices.Clone(f.networks), network{"127.0.45.0/24", "azure/japaneast"})
	c.edit(f.String(), "ok", false)
	c.ask(number(t, "FAIRLEAD_CHANGES_LOAD", 20), number(t, "FAIRLEAD_CHANGES_PUSHES", 2))

	replicas := f.replicas
	f.replicas = append(slices.Clone(replicas), fourth)
	c.edit(f.String(), "ok", false)
	var seen []string
	waitFor(t, moveBound, "japaneast to be filled", func() error {
		state := c.stateOf(t, fourth.name)
		if !slices.Contains(seen, state) {
			seen = append(seen, state)
		}
		if state == "Ready" {
			return nil
		}
		return fmt.Errorf("it is %q", state)
	})
	t.Logf("figure: states seen: %v", seen)
	for i := range images {
		if _, err := c.registries[3].has(fmt.Sprintf("before-%d", i)); err != nil {
			t.Errorf("Ready, and lacks before-%d: %v", i, err)
		}
	}
	c.named(t, fourth.address, true)

	f.replicas[3].more = ", state: drain"
	c.edit(f.String(), "ok", false)
	c.named(t, fourth.address, false)
	dial := dialAlways("127.0.1.7", c.listen)
	atFourth := &http.Client{Timeout: patient(startBound), Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}
	// By the replica's own name, past the lease and past the ledger.
	must(t, pushImage(atFourth, "http://"+fourth.name+"."+hostname, "only", 4<<20))
	f.replicas = replicas
	c.edit(f.String(), "ok", false)
	waitFor(t, moveBound, "japaneast to have left", func() error {
		out, _ := c.asks(t, "replication", "status")
		if strings.Contains(out, fourth.name) {
			return fmt.Errorf("it has not: %s", out)
		}
		return nil
	})
	c.end()
	if code, body, err := get(c.url()+"/v2/only/manifests/v1", manifestTypes); err != nil || code != http.StatusOK {
		t.Errorf("what only it had: status %d, %v: %s", code, err, body)
	}
	for i, image := range images {
		if _, err := crane(t, "validate", "--remote", fmt.Sprintf("%s/before-%d@%s", c.listen, i, image.digest)); err != nil {
			t.Error(err)
		}
	}
}

// stateOf is a replica's state of replication.
func (c *changed) stateOf(t *testing.T, name string) string {
	t.Helper()
	var status struct {
		Replicas []struct{ Replica, State string }
	}
	c.asksJSON(t, &status, "replication", "status")
	for _, r := range status.Replicas {
		if r.Replica == name {
			return r.State
		}
	}
	return ""
}

// has asks a registry for a tag.
func (r *registry) has(repository string) (int, error) {
	code, body, err := get(r.url()+"/v2/"+repository+"/manifests/v1", manifestTypes)
	if err == nil && code != 200 {
		err = fmt.Errorf("status %d: %s", code, body)
	}
	return code, err
}

// named waits until DNS names an address, or does no more, to clients in Japan.
func (c *changed) named(t *testing.T, address string, wants bool) {
	t.Helper()
	waitFor(t, moveBound, fmt.Sprintf("%s to be named: %t", address, wants), func() error {
		got, err := addressOf(c.dns, "127.0.45.0/24")
		if err == nil && (got == address) != wants {
			err = fmt.Errorf("%s is", got)
		}
		return err
	})
}
