package command

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

func drainCommand() *cobra.Command {
	var a asking
	var cancel bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "have DNS send no more clients to a running gateway, which serves those that come",
		Long: `Have DNS send no more clients to a running gateway. Other gateways' probes hear 503, the others take its
addresses out of their answers, and /readyz says so. Whoever comes is served as before, until the
gateway is stopped; a restart ends it, too. A gateway whose clients nobody else could take refuses.
SIGTERM does the same by itself before it stops, for 25 s at most.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.check(); err != nil {
				return err
			}
			method := http.MethodPost
			if cancel {
				method = http.MethodDelete
			}
			var answer admin.Drain
			if err := callAdmin(cmd.Context(), a.at, method, "/drain", nil, &answer); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, drainText(answer, time.Now()))
				return err
			})
		},
	}
	a.flags(cmd.Flags())
	cmd.Flags().BoolVar(&cancel, "cancel", false, "have clients sent there again")
	return cmd
}

func drainText(d admin.Drain, now time.Time) string {
	switch {
	case !d.Draining:
		return "not draining: DNS sends clients here"
	case d.Shared:
		return "draining: another gateway is behind the same address, which DNS goes on to name; " +
			"/readyz tells whoever hands out connections"
	}
	who := "which addresses are its own it cannot know, so that others hear of it by their probes alone"
	if len(d.Fronts) > 0 {
		who = "DNS does not name " + strings.Join(d.Fronts, ", ")
	}
	when := "what it said before is forgotten"
	if left := d.Forgotten.Sub(now).Round(time.Second); left > 0 {
		when += fmt.Sprintf(" in %v", left)
	}
	return "draining: " + who + "; " + when
}
