package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

func clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "what a running gateway knows of the others"}
	cmd.AddCommand(question(&cobra.Command{Use: "members", Short: "the gateways that are alive"}, "/cluster",
		printMembers))
	return cmd
}

func printMembers(w io.Writer, c admin.Cluster) error {
	if c.Name == "" {
		_, err := fmt.Fprintln(w, "this gateway knows no other: its file has no cluster")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tHERE\tADDRESS\tVERSION\tSINCE\tSTATE\tFILE\tDIFFERS IN")
	for _, m := range c.Members {
		state := "serving"
		if m.Draining {
			state = "draining"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.8s\t%s\n", m.Name, cmp.Or(m.Here, "-"), m.Address, m.Version,
			m.Since.UTC().Format(time.RFC3339), state, cmp.Or(m.File, "-"), cmp.Or(strings.Join(m.Differs, ", "), "-"))
	}
	return t.Flush()
}
