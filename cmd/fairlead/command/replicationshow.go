package command

import (
	"cmp"
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

// oneReplica is what `fairlead replication show` prints.
type oneReplica struct {
	Replica     admin.Replica  `json:"replica"`
	Replication admin.Progress `json:"replication"`
	Needs       []string       `json:"needs"`
}

var errNoReplica = errors.New("the gateway knows no such replica")

func showCommand() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use: "show NAME", Short: "all that is known of one replica", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.check(); err != nil {
				return err
			}
			var s admin.Status
			if err := askAdmin(cmd.Context(), a.at, "/status", &s); err != nil {
				return err
			}
			i := slices.IndexFunc(s.Fleet.Replicas, func(r admin.Replica) bool { return r.Name == args[0] })
			if i < 0 {
				return fmt.Errorf("%s: %w", args[0], errNoReplica)
			}
			one := oneReplica{s.Fleet.Replicas[i], progressOf(s.Replication, args[0]), []string{}}
			for _, n := range s.Needs {
				if strings.HasPrefix(n, args[0]+": ") {
					one.Needs = append(one.Needs, n)
				}
			}
			return a.print(cmd.OutOrStdout(), one, func(w io.Writer) error { return printOne(w, one) })
		},
	}
	a.flags(cmd.Flags())
	return cmd
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
