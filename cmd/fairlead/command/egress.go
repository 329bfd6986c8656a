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

func egressCommand() *cobra.Command {
	return question(&cobra.Command{
		Use:   "egress",
		Short: "how many bytes have left which replica through a gateway, and what of that was remote",
		Long: `The bytes of bodies that have left each replica through this gateway since it started: of pulls to
clients, of healing and of replication to other replicas. Local is what clients got from the replica
beside the gateway; all else is remote. NEAREST is what went to clients whose nearest the replica was.
A restart begins anew; other gateways count for themselves (metric: fairlead_egress_bytes_total).`,
	}, "/egress", printEgress)
}

func printEgress(w io.Writer, e admin.Egress) error {
	fmt.Fprintf(w, "since %s, through the gateway beside %s\n", e.Since.UTC().Format(time.RFC3339),
		cmp.Or(e.Here, "no replica"))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REPLICA\tPATH\tTO\tLOCAL\tREMOTE\tNEAREST")
	for _, f := range e.Flows {
		nearest := "-"
		if f.Path == admin.PathPull {
			nearest = inBytes(f.Nearest)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Replica, f.Path, cmp.Or(f.To, "clients"), inBytes(f.Local),
			inBytes(f.Remote), nearest)
	}
	fmt.Fprintf(t, "pulls\t\t\t%s\t%s\t\n", inBytes(e.Pulls.Local), inBytes(e.Pulls.Remote))
	fmt.Fprintf(t, "total\t\t\t%s\t%s\t\n", inBytes(e.Total.Local), inBytes(e.Total.Remote))
	if err := t.Flush(); err != nil {
		return err
	}
	share := "nothing has moved yet"
	if e.RemoteShare != nil {
		share = fmt.Sprintf("%.1f %%", 100**e.RemoteShare)
	}
	_, err := fmt.Fprintln(w, "remote:", share)
	return err
}
