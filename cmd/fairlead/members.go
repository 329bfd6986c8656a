package main

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
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

func clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "what a running gateway knows of the others"}
	var at, output string
	members := &cobra.Command{
		Use:   "members",
		Short: "the gateways that are alive",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("-o: table or json, not %q", output)
			}
			var c admin.Cluster
			if err := askAdmin(cmd.Context(), at, "/cluster", &c); err != nil {
				return err
			}
			return printMembers(cmd.OutOrStdout(), output, c)
		},
	}
	members.Flags().StringVar(&at, "admin", "", "the gateway's admin listener (default $FAIRLEAD_ADMIN, else "+defaultAdmin+")")
	members.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	cmd.AddCommand(members)
	return cmd
}

func printMembers(w io.Writer, output string, c admin.Cluster) error {
	if output == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(c)
	}
	if c.Name == "" {
		_, err := fmt.Fprintln(w, "this gateway knows no other: its file has no cluster")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tHERE\tADDRESS\tVERSION\tSINCE")
	for _, m := range c.Members {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Name, cmp.Or(m.Here, "-"), m.Address, m.Version, m.Since.UTC().Format(time.RFC3339))
	}
	return t.Flush()
}

const (
	defaultAdmin = "http://127.0.0.1:9180"
	adminTimeout = 10 * time.Second
	maxAnswer    = 64 << 20
)

// askAdmin gets a JSON answer from a running gateway.
func askAdmin(ctx context.Context, at, path string, to any) error {
	return callAdmin(ctx, at, http.MethodGet, path, nil, to)
}

// callAdmin has a running gateway do something. nil is no body, and no answer that matters.
func callAdmin(ctx context.Context, at, method, path string, body, to any) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
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
		return fmt.Errorf("no running gateway answers: %w", err)
	}
	defer response.Body.Close()
	answer := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode/100 != 2 {
		var problem struct{ Detail string }
		_ = answer.Decode(&problem) // the status says enough
		return errors.New(strings.TrimSuffix(fmt.Sprintf("%s%s: %s: %s", at, path, response.Status, problem.Detail), ": "))
	}
	if to == nil {
		return nil
	}
	return answer.Decode(to)
}
