package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

// Of one question while waiting.
const (
	longPoll  = 20 * time.Second
	pollAgain = 500 * time.Millisecond // after none was answered
)

func waitCommand() *cobra.Command {
	a := asking{output: output{lines: true}}
	var replicas string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait REF",
		Short: "wait until an image is on the replicas that it is wanted on",
		Long: `Wait until an image, REPOSITORY:TAG or REPOSITORY@DIGEST, is complete on replicas: on all that are to
have it, on a number of them, or on those that are named. What a filter leaves out, what is offline
and what takes no writes is not counted among all. A tag is waited for with the digest that it has
at the time; it need not have been pushed yet. The gateway may be restarted meanwhile.

  exit code 0  it is there
  exit code 1  it is not, or is deleted or unknown, at the end of the timeout
  exit code 2  called wrongly, or no gateway answers

On a terminal a line for each replica shows how far it is; -o json prints a line for each change.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.check(); err != nil {
				return usage(err)
			}
			ref, err := parseReference(args[0])
			if err != nil {
				return usage(err)
			}
			if timeout < 0 {
				return usage(fmt.Errorf("--timeout: not %v", timeout))
			}
			var fleet admin.Fleet
			if err := askAdmin(cmd.Context(), a.at, "/fleet", &fleet); err != nil {
				return usage(err)
			}
			var known []string
			for _, r := range fleet.Replicas {
				known = append(known, r.Name)
			}
			wanted, err := parseWant(replicas, known)
			if err != nil {
				return usage(err)
			}
			w := waiting{asking: a, ref: ref, want: wanted, out: cmd.OutOrStdout(),
				screen: newScreen(cmd.OutOrStdout())}
			return w.until(cmd.Context(), time.Now().Add(timeout))
		},
	}
	a.flags(cmd.Flags())
	cmd.Flags().StringVar(&replicas, "replicas", "all", "all, a number, or names: westus,eastus")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long; 0s: only look")
	usageIsTwo(cmd)
	return cmd
}

// waiting is one `fairlead wait`. Of one goroutine.
type waiting struct {
	asking
	ref    reference
	want   want
	out    io.Writer
	screen *screen

	image *admin.Image // the last that was heard; nil: it is not known
}

// The results of waiting, as JSON has them.
const (
	stillWaiting  = "waiting"
	resultThere   = "there"
	resultTimeout = "timeout"
	resultDeleted = "deleted"
	resultUnknown = "unknown"
	resultNobody  = "no_gateway"
)

func (w *waiting) until(ctx context.Context, deadline time.Time) error {
	for {
		left := max(0, time.Until(deadline))
		changed, err := w.ask(ctx, min(left, longPoll))
		met := err == nil && w.image != nil && w.want.met(*w.image)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case met || !time.Now().Before(deadline):
			return w.end(met, err)
		case changed:
			w.show(stillWaiting)
		}
		if err != nil {
			pause := time.NewTimer(min(pollAgain, time.Until(deadline)))
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		}
	}
}

// ask returns an error when nobody could say anything; that an image is not known is an answer.
func (w *waiting) ask(ctx context.Context, wait time.Duration) (changed bool, err error) {
	path := imagePath(w.ref) + "&wait=" + wait.String()
	if w.image != nil {
		path += "&after=" + w.image.Version
	}
	var i admin.Image
	err = callFor(ctx, wait+adminTimeout, w.at, http.MethodGet, path, nil, &i)
	if said := (*problemError)(nil); errors.As(err, &said) && said.status == http.StatusNotFound {
		changed = w.image != nil
		w.image = nil
		return changed, nil
	}
	if err != nil {
		return false, err
	}
	changed = w.image == nil || w.image.Version != i.Version
	w.image = &i
	return changed, nil
}

// end says the last word.
func (w *waiting) end(met bool, failed error) error {
	result := resultTimeout
	switch {
	case met:
		result = resultThere
	case errors.Is(failed, errNoGateway):
		result = resultNobody
	case w.image == nil:
		result = resultUnknown
	case w.image.Deleted:
		result = resultDeleted
	}
	w.show(result)
	text := w.summary(result)
	if met {
		if w.format != "json" {
			fmt.Fprintln(w.out, text)
		}
		return nil
	}
	switch {
	case result == resultNobody:
		return usage(fmt.Errorf("%s: %w", text, failed))
	case failed != nil:
		return fmt.Errorf("%s: %w", text, failed)
	}
	return errors.New(text)
}

func (w *waiting) summary(result string) string {
	text := w.ref.String()
	if w.image != nil && !w.ref.isDigest() {
		text += " " + cmp.Or(w.image.Digest, "-")
	}
	if w.image == nil || result == resultDeleted || result == resultNobody {
		return text + ": " + strings.ReplaceAll(result, "_", " ")
	}
	there, of := w.want.progress(*w.image)
	text += fmt.Sprintf(": on %d of %d", there, of)
	for _, p := range w.image.Replicas {
		if p.State != admin.There {
			text += fmt.Sprintf("; %s %s", p.Replica, p.State)
			if p.Reason != "" {
				text += " (" + reasonText(p) + ")"
			}
		}
	}
	return text
}

func (w *waiting) show(result string) {
	if w.format == "json" {
		w.line(result)
		return
	}
	if w.image == nil {
		w.screen.draw(w.ref.String() + ": not known yet")
		return
	}
	lines := []string{w.ref.String() + " " + w.image.Digest}
	for _, p := range w.image.Replicas {
		lines = append(lines, fmt.Sprintf("  %-20s %-10s %s", p.Replica, stateText(p, w.image.Deleted),
			strings.TrimPrefix(reasonText(p), "-")))
	}
	w.screen.draw(lines...)
}

// waitingLine is a line of `fairlead wait -o json`: a promise to scripts.
type waitingLine struct {
	Time   time.Time    `json:"time"`
	Result string       `json:"result"` // waiting, or of the last line there, timeout, deleted, unknown or no_gateway
	There  int          `json:"there"`
	Of     int          `json:"of"`
	Image  *admin.Image `json:"image"` // null: it is not known
}

func (w *waiting) line(result string) {
	line := waitingLine{Time: time.Now().UTC(), Result: result, Image: w.image}
	if w.image != nil {
		line.There, line.Of = w.want.progress(*w.image)
	}
	_ = json.NewEncoder(w.out).Encode(line) // whoever reads may have gone; the exit code says it as well
}
