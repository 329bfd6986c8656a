package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

// auditPoll is how often the gateway is asked how far it has come.
const auditPoll = 500 * time.Millisecond

// errUnsure: a replica is down or refuses, so that there may be more than what is listed.
var errUnsure = errors.New("some of it could not be found out")

func auditCommand() *cobra.Command {
	var a asking
	var q admin.AuditRequest
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "compare what replicas have with what was pushed and deleted, and repair it",
		Long: `A running gateway looks at every repository of every replica and reports what is not as its ledger of
pushes and deletions says:

  missing        the replica does not have it
  stale          the tag names an older digest
  undeleted      it was deleted, and is there
  unknown        it is there, and did not come through a gateway
  out_of_band    the tag was pushed to the replica itself
  incomplete     a layer or config of the manifest is not there; only --deep looks for those that were copied before

With --repair what is unknown or out of band is recorded and copied, and all else is copied or deleted again. What is
"pending" replication is at already.

The exit code is 0 if nothing differs, or all of it was repaired; 1 if differences remain; 2 if it could not be found out.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.check(); err != nil {
				return usage(err)
			}
			report, err := runAudit(cmd.Context(), a.at, q)
			if err == nil {
				err = a.print(cmd.OutOrStdout(), report, func(w io.Writer) error { return printAudit(w, report) })
			}
			switch {
			case err != nil:
				return usage(err)
			case report.Unsure > 0:
				return usage(errUnsure)
			case report.Remaining > 0:
				return ErrSaid
			}
			return nil
		},
	}
	usageIsTwo(cmd)
	f := cmd.Flags()
	a.flags(f)
	f.StringSliceVar(&q.Replicas, "replica", nil, "a replica to look at (default all)")
	f.BoolVar(&q.Deep, "deep", false, "look for the layers and configs of every manifest, too")
	f.BoolVar(&q.Repair, "repair", false, "put right what differs")
	return cmd
}

var errReplaced = errors.New("the gateway has begun anew")

// runAudit begins an audit and waits for its end. If the caller goes away, it goes on; GET /audit shows it.
func runAudit(ctx context.Context, at string, q admin.AuditRequest) (report admin.Audit, err error) {
	if err := callAdmin(ctx, at, http.MethodPost, "/audit", q, &report); err != nil {
		return report, err
	}
	id := report.ID
	ticker := time.NewTicker(auditPoll)
	defer ticker.Stop()
	for report.Ended.IsZero() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return report, ctx.Err()
		}
		report = admin.Audit{}
		if err := askAdmin(ctx, at, "/audit", &report); err != nil {
			return report, err
		}
		if report.ID != id {
			return report, errReplaced
		}
	}
	return report, nil
}

func printAudit(w io.Writer, a admin.Audit) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(a.Differences) > 0 {
		fmt.Fprintln(t, "REPLICA\tREPOSITORY\tNAME\tREASON\tHAS\tWANT\tOUTCOME")
	}
	for _, d := range a.Differences {
		outcome := d.Outcome
		if outcome == "" && d.Pending {
			outcome = "pending"
		}
		if d.Problem != "" {
			outcome += ": " + d.Problem
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Replica, d.Repository, shortDigest(d.Name), d.Reason,
			cmp.Or(shortDigest(d.Has), "-"), cmp.Or(shortDigest(d.Want), "-"), cmp.Or(outcome, "-"))
		for _, digest := range d.Lacks {
			fmt.Fprintf(t, "\t\t\tlacks\t%s\t\t\n", shortDigest(digest))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range a.Problems {
		fmt.Fprintf(w, "problem: %s %s: %s\n", cmp.Or(p.Replica, "all replicas"),
			cmp.Or(p.Repository, "all repositories"), p.Text)
	}
	more := ""
	if a.Total > len(a.Differences) {
		more = fmt.Sprintf(", of which the first %d are shown", len(a.Differences))
	}
	_, err := fmt.Fprintf(w, "%d repositories on %d replicas: %d differences%s, %d remain\n", a.Done, len(a.Replicas),
		a.Total, more, a.Remaining)
	return err
}

// shortDigest is as much of a digest as people tell apart.
func shortDigest(s string) string {
	const shown = len("sha256:") + 12
	if len(s) > shown && s[:7] == "sha256:" {
		return s[:shown]
	}
	return s
}
