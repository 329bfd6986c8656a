package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

func changesCommand() *cobra.Command {
	return question(&cobra.Command{
		Use: "changes", Short: "who changed what of the fleet by command, through which gateway: the last thousand",
	}, "/v1/changes", printMade)
}

func printMade(w io.Writer, all admin.Changes) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AT\tBY\tTHROUGH\tKEY\tOLD\tNEW")
	for _, c := range all.Value {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", c.At.Format(time.RFC3339), c.By, c.Through, c.Key, c.Old, c.New)
	}
	return t.Flush()
}

func resetCommand() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "reset NAME [KEY …]",
		Short: "have what the file says of a replica be in force again: of some keys, such as state, or of all",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/v1/replications/" + url.PathEscape(args[0]) + "/reset"
			if err := callAdmin(cmd.Context(), a.at, http.MethodPost, path, admin.Reset{Keys: args[1:]}, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is as its file says\n", args[0])
			return err
		},
	}
	a.flags(cmd.Flags())
	return cmd
}

func exportCommand() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use: "export", Short: "the fleet as it is in force, as a file: what files declare and what commands have changed",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out admin.Exported
			if err := askAdmin(cmd.Context(), a.at, "/v1/config/export", &out); err != nil {
				return err
			}
			if out.File == "" {
				return errNothingToExport
			}
			return a.print(cmd.OutOrStdout(), out, func(w io.Writer) error {
				_, err := io.WriteString(w, out.File)
				return err
			})
		},
	}
	a.flags(cmd.Flags())
	return cmd
}

var errNothingToExport = errors.New("the gateway answered with nothing")
