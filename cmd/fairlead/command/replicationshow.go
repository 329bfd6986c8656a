package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

// oneReplica is what `fairlead replication show` prints: as az has it, and what is known of its health and copies.
type oneReplica struct {
	admin.Regional
	Replica     admin.Replica  `json:"replica"`
	Replication admin.Progress `json:"replication"`
	Needs       []string       `json:"needs"`
}

var errNoReplica = &exitError{errors.New("the gateway knows no such replica"), codeNotFound}

func (f *regionalFlags) show(ctx context.Context, w io.Writer, _ *cobra.Command) error {
	path, err := f.at()
	if err != nil {
		return err
	}
	var s admin.Status
	if err := askAdmin(ctx, f.asking.at, "/status", &s); err != nil {
		return err
	}
	i := slices.IndexFunc(s.Fleet.Replicas, func(r admin.Replica) bool { return r.Name == f.name })
	if i < 0 {
		return fmt.Errorf("%s: %w", f.name, errNoReplica)
	}
	one := oneReplica{Replica: s.Fleet.Replicas[i], Replication: progressOf(s.Replication, f.name), Needs: []string{}}
	if err := askAdmin(ctx, f.asking.at, path, &one.Regional); err != nil {
		return err
	}
	for _, n := range s.Needs {
		if strings.HasPrefix(n, f.name+": ") {
			one.Needs = append(one.Needs, n)
		}
	}
	return f.print(w, one, func(w io.Writer) error { return printOne(w, one) })
}

func printOne(w io.Writer, o oneReplica) error {
	r := o.Replica
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	line("replica", "%s", r.Name)
	line("state", "%s", operatorText(r))
	line("upstream", "%s, %s", r.Upstream, healthText(r))
	for _, p := range r.Probes {
		ends := ""
		if !p.Ends.IsZero() {
			ends = ", certificate until " + p.Ends.UTC().Format(time.RFC3339)
		}
		line("probed "+p.Target, "%s: %s since %s%s", p.URL, cmp.Or(p.Result, "not yet"),
			p.Since.UTC().Format(time.RFC3339), ends)
	}
	line("writes", "%s", writesText(r))
	line("copies", "%s, %d entries", copiesText(o.Replication), o.Replication.Entries)
	line("served by", "%s", cmp.Or(o.Replication.Served, "-"))
	line("pushes left", "%s", pushesLeft(r))
	if o.Replication.WaitsFor != "" {
		line("leaves, and waits for", "%s", o.Replication.WaitsFor)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printNeeds(w, o.Needs)
}
