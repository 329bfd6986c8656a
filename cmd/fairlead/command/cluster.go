package command

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

func clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "what a running gateway knows of the others"}
	var a asking
	members := &cobra.Command{
		Use:   "members",
		Short: "the gateways that are alive",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.check(); err != nil {
				return err
			}
			var c admin.Cluster
			if err := askAdmin(cmd.Context(), a.at, "/cluster", &c); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), c, func(w io.Writer) error { return printMembers(w, c) })
		},
	}
	a.flags(members)
	cmd.AddCommand(members)
	return cmd
}

func printMembers(w io.Writer, c admin.Cluster) error {
	if c.Name == "" {
		_, err := fmt.Fprintln(w, "this gateway knows no other: its file has no cluster")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tHERE\tADDRESS\tVERSION\tSINCE")
	for _, m := range c.Members {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Name, cmp.Or(m.Here, "-"), m.Address, m.Version, m.Since.UTC().Format(time.RFC3339))
	}
	return t.Flush()
}
