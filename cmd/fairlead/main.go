// Command fairlead gives a set of regional container-registry replicas one hostname.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/cmd/fairlead/command"
)

func main() {
	// A second signal is not caught: it ends a stop that takes too long.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use: "fairlead",
		Short: "one hostname for regional container registries: the nearest healthy replica, and pushes " +
			"that stay complete",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(), demoCommand(), checkCommand(), versionCommand())
	root.AddCommand(command.All()...)
	root.SetArgs(command.Spread(args))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, command.ErrSaid) {
		fmt.Fprintln(os.Stderr, err)
	}
	return command.ExitCode(err)
}
