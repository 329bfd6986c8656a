package command

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
)

// reloadTimeout is enough for a geo database to be read.
const reloadTimeout = time.Minute

func reloadCommand() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "have a running gateway read its file at once, and say what came of it",
		Long: `A gateway takes an edit of its file by itself, a second or two after it was made; so it does with SIGHUP.
This command does not wait for that, and prints what has changed, what counts only after a restart, or all that is wrong
with the file, in which case the last good one goes on and the exit code is 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.check(); err != nil {
				return err
			}
			var l admin.Loaded
			if err := callFor(cmd.Context(), reloadTimeout, a.at, http.MethodPost, "/config/reload", nil, &l); err != nil {
				return err
			}
			if err := a.print(cmd.OutOrStdout(), l, func(w io.Writer) error { return printLoaded(w, l) }); err != nil {
				return err
			}
			if l.Result == admin.LoadedRefused {
				return ErrSaid
			}
			return nil
		},
	}
	a.flags(cmd.Flags())
	return cmd
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "what a running gateway goes by, and what another file would change"}
	cmd.AddCommand(question(&cobra.Command{
		Use:   "show",
		Short: "each key with its value in force, and where that comes from",
		Long: `Each key with its value in force, and where that comes from: FILE:LINE, "default", "--here", or "the last
start" where the file says something else by now, which needs a restart. What may be a secret is not shown.`,
	}, "/config", printInForce), diffCommand(), resetCommand(), exportCommand())
	return cmd
}

func diffCommand() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "diff FILE",
		Short: "what FILE would change in a running gateway, and what of that needs a restart",
		Long: `FILE is read here, with replicas.d beside it; names of files in it are resolved here, too. The exit code is 0
whether something would change or not, and 1 if FILE has problems, which are printed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.check(); err != nil {
				return err
			}
			c, err := configs.Load(args[0])
			if err != nil {
				return err
			}
			given := []admin.ConfigGiven{}
			for _, v := range c.Values() {
				given = append(given, admin.ConfigGiven(v))
			}
			changes := []admin.ConfigChange{}
			if err := callAdmin(cmd.Context(), a.at, http.MethodPost, "/config/compare", given, &changes); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), changes, func(w io.Writer) error {
				if len(changes) == 0 {
					_, err := fmt.Fprintln(w, "nothing would change")
					return err
				}
				return printChanges(w, changes)
			})
		},
	}
	a.flags(cmd.Flags())
	return cmd
}

func printInForce(w io.Writer, c admin.InForce) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tVALUE\tFROM")
	for _, v := range c.Values {
		fmt.Fprintf(t, "%s\t%s\t%s\n", v.Field, shownValue(v.Value), v.From)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "in force since %s\n", c.Since.UTC().Format(time.RFC3339))
	if c.Last.Result == admin.LoadedRefused {
		fmt.Fprintf(w, "the file as it is now was refused at %s:\n", c.Last.At.UTC().Format(time.RFC3339))
		return printProblems(w, c.Last.Problems)
	}
	return nil
}

func printLoaded(w io.Writer, l admin.Loaded) error {
	switch l.Result {
	case admin.LoadedRefused:
		if err := printProblems(w, l.Problems); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, "refused: what was in force goes on")
		return err
	case admin.LoadedUnchanged:
		_, err := fmt.Fprintf(w, "%s: nothing has changed\n", l.File)
		return err
	}
	return printChanges(w, l.Changes)
}

func printProblems(w io.Writer, problems []admin.ConfigProblem) error {
	for _, p := range problems {
		text := p.Place() + ": " + p.Rule
		if p.Value != "" {
			text += fmt.Sprintf(" (got %q)", p.Value)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}

func printChanges(w io.Writer, changes []admin.ConfigChange) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tOLD\tNEW\t")
	for _, c := range changes {
		note := ""
		if c.Restart {
			note = "needs a restart"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Field, shownValue(c.Old), shownValue(c.New), note)
	}
	return t.Flush()
}

// shownValue is never nothing: a column would be hard to see.
func shownValue(s string) string { return cmp.Or(s, "-") }
