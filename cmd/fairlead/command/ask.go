package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	defaultAdmin = "http://127.0.0.1:9180"
	adminTimeout = 10 * time.Second
	maxAnswer    = 64 << 20
)

// asking is what commands that talk to a running gateway have in common.
type asking struct {
	at string // the admin listener
	output
}

func (a *asking) flags(f *pflag.FlagSet) {
	f.StringVar(&a.at, "admin", "", "the gateway's admin listener (default $FAIRLEAD_ADMIN, else "+defaultAdmin+")")
	a.outputFlags(f)
}

// question has a command ask for one thing and print it.
func question[T any](cmd *cobra.Command, path string, table func(io.Writer, T) error) *cobra.Command {
	var a asking
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.check(); err != nil {
			return err
		}
		var answer T
		if err := askAdmin(cmd.Context(), a.at, path, &answer); err != nil {
			return err
		}
		return a.print(cmd.OutOrStdout(), answer, func(w io.Writer) error { return table(w, answer) })
	}
	a.flags(cmd.Flags())
	return cmd
}

// errNoGateway: none answers. problemError is what one that does has against the question.
var errNoGateway = errors.New("no running gateway answers")

type problemError struct {
	status int
	text   string
}

func (e *problemError) Error() string { return e.text }

// askAdmin gets a JSON answer from a running gateway.
func askAdmin(ctx context.Context, at, path string, to any) error {
	return callAdmin(ctx, at, http.MethodGet, path, nil, to)
}

// callAdmin has a running gateway do something. nil is no body, and no answer that matters.
func callAdmin(ctx context.Context, at, method, path string, body, to any) error {
	return callFor(ctx, adminTimeout, at, method, path, body, to)
}

func callFor(ctx context.Context, patience time.Duration, at, method, path string, body, to any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at = strings.TrimSuffix(cmp.Or(at, os.Getenv("FAIRLEAD_ADMIN"), defaultAdmin), "/")
	var sent io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, at+path, sent)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoGateway, err)
	}
	defer response.Body.Close()
	answer := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode/100 != 2 {
		var problem struct{ Detail string }
		_ = answer.Decode(&problem) // the status says enough
		return &problemError{response.StatusCode,
			strings.TrimSuffix(fmt.Sprintf("%s%s: %s: %s", at, path, response.Status, problem.Detail), ": ")}
	}
	if to == nil {
		return nil
	}
	if err := answer.Decode(to); err != nil {
		return fmt.Errorf("%w: %w", errNoGateway, err)
	}
	return nil
}
