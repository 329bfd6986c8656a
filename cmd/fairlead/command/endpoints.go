package command

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

// endpoints are in az's words: data endpoints are the names that reach one replica each.
type endpoints struct {
	DataEndpoints []endpoint `json:"dataEndpoints"`
	LoginServer   string     `json:"loginServer"`
}

type endpoint struct {
	Endpoint string `json:"endpoint"`
	Region   string `json:"region"`
}

func endpointsCommand() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use: "show-endpoints", Short: "the one hostname, and the name of each replica; as az acr show-endpoints",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.check(); err != nil {
				return usage(err)
			}
			var fleet admin.Fleet
			var all admin.Regionals
			if err := askAdmin(cmd.Context(), a.at, "/fleet", &fleet); err != nil {
				return err
			}
			if err := askAdmin(cmd.Context(), a.at, "/v1/replications", &all); err != nil {
				return err
			}
			shown := endpoints{DataEndpoints: []endpoint{}, LoginServer: fleet.Hostname}
			for _, r := range all.Value {
				shown.DataEndpoints = append(shown.DataEndpoints, endpoint{r.Name + "." + fleet.Hostname, r.Location})
			}
			return a.print(cmd.OutOrStdout(), shown, func(w io.Writer) error { return printEndpoints(w, shown) })
		},
	}
	a.flags(cmd.Flags())
	acceptIdle(cmd, "name", "resource-group", "subscription")
	return cmd
}

func printEndpoints(w io.Writer, e endpoints) error {
	fmt.Fprintln(w, e.LoginServer)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, of := range e.DataEndpoints {
		fmt.Fprintf(t, "%s\t%s\n", of.Endpoint, of.Region)
	}
	return t.Flush()
}
