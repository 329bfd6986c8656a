package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

func statusCommand() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "status",
		Short: "all of the fleet on one page, and what of it needs a person",
		Long: `All that a running gateway knows of its fleet: replicas, how far copies are, the other gateways, the file in
force, and what needs a person. The exit code is 0 if nothing does, 1 if something does, 2 if no gateway answers.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.check(); err != nil {
				return usage(err)
			}
			var s admin.Status
			if err := askAdmin(cmd.Context(), a.at, "/status", &s); err != nil {
				return usage(err)
			}
			err := a.print(cmd.OutOrStdout(), s, func(w io.Writer) error { return printStatus(w, s) })
			if err == nil && len(s.Needs) > 0 {
				err = ErrSaid
			}
			return err
		},
	}
	a.flags(cmd.Flags())
	usageIsTwo(cmd)
	return cmd
}

func printStatus(w io.Writer, s admin.Status) error {
	state := "serving"
	if s.Fleet.Draining {
		state = "draining"
	}
	fmt.Fprintf(w, "%s: a gateway in %s, %s; pushes under way: %d\n", s.Fleet.Hostname,
		cmp.Or(s.Fleet.Here, "no region"), state, s.Pushes)
	fmt.Fprintf(w, "%s: in force since %s\n\n", s.File, s.Since.UTC().Format(time.RFC3339))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REPLICA\tSTATE\tHEALTH\tFRONTS\tWRITES\tCOPIES\tENTRIES\tPUSHES LEFT")
	for _, r := range s.Fleet.Replicas {
		p := progressOf(s.Replication, r.Name)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", r.Name, operatorText(r), healthText(r), frontsText(r),
			writesText(r), copiesText(p), p.Entries, pushesLeft(r))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range s.Replication.Replicas {
		if p.WaitsFor != "" {
			fmt.Fprintf(w, "%s leaves, and waits for: %s\n", p.Replica, p.WaitsFor)
		}
	}
	if s.Cluster.Name != "" {
		fmt.Fprintln(w)
		if err := printMembers(w, s.Cluster); err != nil {
			return err
		}
	}
	return printNeeds(w, s.Needs)
}

func printNeeds(w io.Writer, needs []string) error {
	text := "\nnothing needs a person\n"
	if len(needs) > 0 {
		text = "\nthis needs a person:\n- " + strings.Join(needs, "\n- ") + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

func progressOf(r admin.Replication, replica string) admin.Progress {
	for _, p := range r.Replicas {
		if p.Replica == replica {
			return p
		}
	}
	return admin.Progress{Replica: replica}
}

func operatorText(r admin.Replica) string {
	if r.Home {
		return r.State + ", home"
	}
	return r.State
}

func healthText(r admin.Replica) string {
	isSlow := func(p admin.Probe) bool { return p.Slow } // the upstream, or a front
	switch {
	case !r.Up:
		return "down"
	case slices.ContainsFunc(r.Probes, isSlow):
		return "slow"
	}
	return "up"
}

func frontsText(r admin.Replica) string {
	up := 0
	for _, f := range r.Fronts {
		if f.Up {
			up++
		}
	}
	return fmt.Sprintf("%d/%d", up, len(r.Fronts))
}

func writesText(r admin.Replica) string {
	switch {
	case !r.Write:
		return "no"
	case r.WriteFailing != nil:
		return "failing"
	case r.Unshared:
		return "unshared"
	}
	return "yes"
}

func copiesText(p admin.Progress) string {
	if p.Detail == nil || p.Detail.Left == 0 {
		return cmp.Or(p.State, "-")
	}
	left := time.Duration(p.Detail.Left * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s, %v left", p.State, left)
}

func pushesLeft(r admin.Replica) string {
	if r.PushesLeft == nil {
		return "-"
	}
	return fmt.Sprint(*r.PushesLeft)
}
