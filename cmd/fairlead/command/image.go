package command

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

func imageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "what a running gateway knows of images"}
	cmd.AddCommand(imageShowCommand())
	return cmd
}

func imageShowCommand() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "show REF",
		Short: "what was pushed, when and where, and which replicas have it",
		Long: `What the ledger of pushes and deletions says of an image, REPOSITORY:TAG or REPOSITORY@DIGEST, with
or without the hostname before it. For each replica: there; pending; failed, with the reason; left_out
by a filter; read_only; offline. Of an index its children, too. What failed at a replica is known to
the gateway that serves it (fairlead replication status): others say pending.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.check(); err != nil {
				return err
			}
			ref, err := parseReference(args[0])
			if err != nil {
				return err
			}
			var i admin.Image
			if err := askAdmin(cmd.Context(), a.at, imagePath(ref)+"&children", &i); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), i, func(w io.Writer) error { return printImage(w, i) })
		},
	}
	a.flags(cmd.Flags())
	return cmd
}

func imagePath(r reference) string {
	return "/images?" + url.Values{"repository": {r.repository}, "reference": {r.name}}.Encode()
}

func printImage(w io.Writer, i admin.Image) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "image\t%s\n", reference{"", i.Repository, i.Reference})
	fmt.Fprintf(t, "digest\t%s\n", cmp.Or(i.Digest, "-"))
	fmt.Fprintf(t, "media type\t%s\n", cmp.Or(i.MediaType, "-"))
	fmt.Fprintf(t, "manifest\t%s\n", inBytes(i.Size))
	fmt.Fprintln(t, acceptedText(i))
	fmt.Fprintln(t, "\nREPLICA\tSTATE\tREASON")
	for _, p := range i.Replicas {
		fmt.Fprintf(t, "%s\t%s\t%s\n", p.Replica, stateText(p, i.Deleted), reasonText(p))
	}
	if len(i.Children) > 0 {
		fmt.Fprintln(t, "\nCHILD\tTHERE\tNOT YET")
	}
	for _, c := range i.Children {
		there, lacking := names(c.Replicas)
		if !c.Known {
			there, lacking = nil, []string{"not in the ledger"}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Digest, cmp.Or(strings.Join(there, ","), "-"),
			cmp.Or(strings.Join(lacking, ","), "-"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if i.Problem != "" {
		fmt.Fprintln(w, "its children are not known:", i.Problem)
	}
	return nil
}

func acceptedText(i admin.Image) string {
	if i.Accepted.IsZero() {
		return fmt.Sprintf("found\tat %s, by an audit; nothing says when it was pushed", i.AcceptedBy)
	}
	what := "pushed"
	if i.Deleted {
		what = "deleted"
	}
	return fmt.Sprintf("%s\t%s at %s, through gateway %s", what, i.Accepted.Format(time.RFC3339), i.AcceptedBy,
		i.Gateway)
}

// stateText: of what was deleted a replica has nothing.
func stateText(p admin.Place, deleted bool) string {
	if deleted && p.State == admin.There {
		return "gone"
	}
	return string(p.State)
}

func reasonText(p admin.Place) string {
	switch {
	case p.GivenUp:
		return fmt.Sprintf("%s (given up after %d tries: fairlead replication retry)", p.Reason, p.Tries)
	case p.Tries > 0:
		return fmt.Sprintf("%s (%d tries)", p.Reason, p.Tries)
	}
	return cmp.Or(p.Reason, "-")
}

// names are the replicas that have something, and those that are to get it.
func names(places []admin.Place) (there, lacking []string) {
	for _, p := range places {
		switch {
		case p.State == admin.There:
			there = append(there, p.Replica)
		case p.State.Expected():
			lacking = append(lacking, p.Replica)
		}
	}
	return there, lacking
}
