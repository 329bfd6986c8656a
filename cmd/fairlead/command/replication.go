package command

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

func replicationCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "replication",
		Short: "the fleet's replicas, how far copies to them are, and what failed; as az acr replication"}
	cmd.AddCommand(
		question(&cobra.Command{Use: "status", Short: "how far each replica is behind"}, "/replication",
			printReplication),
		question(&cobra.Command{Use: "failures", Short: "images and deletions that have failed: tried again, or given up"}, "/replication/failures", printFailures),
		question(&cobra.Command{Use: "conflicts",
			Short: "tags that were written on two sides of a cut, with both digests"}, "/replication/conflicts",
			printConflicts),
		retryCommand(),
	)
	cmd.AddCommand(regionalCommands()...)
	return cmd
}

func retryCommand() *cobra.Command {
	var a asking
	var replica string
	cmd := &cobra.Command{
		Use:   "retry [REF]",
		Short: "try again at once what has failed: all of it, or of one replica or image",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.check(); err != nil {
				return err
			}
			query := url.Values{"replica": {replica}}
			if len(args) == 1 {
				ref, err := parseReference(args[0])
				if err != nil {
					return err
				}
				query.Set("repository", ref.repository)
				query.Set("reference", ref.name)
			}
			var answer admin.Retried
			if err := callAdmin(cmd.Context(), a.at, http.MethodPost, "/replication/retry?"+query.Encode(), nil,
				&answer); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%d tried again\n", answer.Count)
				return err
			})
		},
	}
	a.flags(cmd.Flags())
	cmd.Flags().StringVar(&replica, "replica", "", "only what this replica lacks")
	return cmd
}

func printReplication(w io.Writer, r admin.Replication) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REPLICA\tSTATE\tENTRIES\tRUNNING\tWAITING\tGIVEN UP\tBYTES\tRATE\tLEFT\tSERVED BY")
	for _, p := range r.Replicas {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", p.Replica, p.State, p.Entries, detailText(p.Detail),
			cmp.Or(p.Served, "-"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range r.Replicas {
		if p.WaitsFor != "" {
			fmt.Fprintf(w, "%s leaves, and waits for: %s\n", p.Replica, p.WaitsFor)
		}
		if f := p.WriteFailing; f != nil {
			fmt.Fprintf(w, "%s takes no new pushes since %s: it answered %d to an upload to %s\n", p.Replica,
				f.Since.Format(time.RFC3339), f.Status, f.Repository)
		}
	}
	_, err := fmt.Fprintf(w, "conflicts: %d\n", r.Conflicts)
	return err
}

func detailText(d *admin.Detail) string {
	if d == nil {
		return strings.Join([]string{"-", "-", "-", "-", "-", "-"}, "\t")
	}
	left := "-"
	if d.Left > 0 {
		left = time.Duration(d.Left * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%d\t%d\t%d\t%s\t%s/s\t%s", d.Running, d.Waiting, d.GivenUp, inBytes(d.Bytes),
		inBytes(int64(d.Rate)), left)
}

func printFailures(w io.Writer, failures []admin.Failure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REPLICA\tACTION\tREPOSITORY\tTAGS\tDIGEST\tTRIES\tNEXT\tREASON")
	for _, f := range failures {
		next := "given up"
		if !f.GivenUp {
			next = f.Next.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", f.Replica, f.Action, f.Repository,
			cmp.Or(strings.Join(f.Tags, ","), "-"),
			cmp.Or(f.Digest, "-"), f.Tries, next, f.Reason)
	}
	return t.Flush()
}

func printConflicts(w io.Writer, c admin.Conflicts) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FOUND\tTAG\tWINNER\tAT\tLOSER\tAT")
	for _, c := range c.Conflicts {
		fmt.Fprintf(t, "%s\t%s:%s\t%s\t%s\t%s\t%s\n", c.Found.Format(time.RFC3339), c.Repository, c.Tag,
			sideText(c.Winner), c.Winner.Replica, sideText(c.Loser), c.Loser.Replica)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "in all: %d\n", c.Total)
	return err
}

func sideText(s admin.Side) string {
	if s.Deleted {
		return "deleted"
	}
	return s.Digest
}
