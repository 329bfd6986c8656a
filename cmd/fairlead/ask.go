package main

import (
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
)

const (
	defaultAdmin = "http://127.0.0.1:9180"
	adminTimeout = 10 * time.Second
	maxAnswer    = 64 << 20
)

// asking is what commands that talk to a running gateway have in common.
type asking struct {
	at     string // the admin listener
	output string // table or json
}

func (a *asking) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.at, "admin", "", "the gateway's admin listener (default $FAIRLEAD_ADMIN, else "+defaultAdmin+")")
	cmd.Flags().StringVarP(&a.output, "output", "o", "table", "table or json")
}

func (a *asking) check() error {
	if a.output != "table" && a.output != "json" {
		return fmt.Errorf("-o: table or json, not %q", a.output)
	}
	return nil
}

// print writes JSON, or has table write what people read.
func (a *asking) print(w io.Writer, v any, table func(io.Writer) error) error {
	if a.output != "json" {
		return table(w)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
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
	return callAdmin(ctx, http.MethodGet, at, path, adminTimeout, to)
}

func callAdmin(ctx context.Context, method, at, path string, patience time.Duration, to any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at = strings.TrimSuffix(cmp.Or(at, os.Getenv("FAIRLEAD_ADMIN"), defaultAdmin), "/")
	request, err := http.NewRequestWithContext(ctx, method, at+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoGateway, err)
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode != http.StatusOK {
		var problem struct{ Title, Detail string }
		if json.NewDecoder(body).Decode(&problem) == nil && problem.Title != "" {
			return &problemError{response.StatusCode, strings.TrimSuffix(problem.Title+": "+problem.Detail, ": ")}
		}
		return &problemError{response.StatusCode, fmt.Sprintf("%s%s: %s", at, path, response.Status)}
	}
	if err := json.NewDecoder(body).Decode(to); err != nil {
		return fmt.Errorf("%w: %w", errNoGateway, err)
	}
	return nil
}
