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
)

func main() {
	// A second signal is not caught: it ends a stop that takes too long.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// errSaid ends a command with exit code 1 when all that is to say has been printed.
var errSaid = errors.New("")

func run(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:           "fairlead",
		Short:         "one hostname for regional container registries: the nearest healthy replica, and pushes that stay whole",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(), demoCommand(), checkCommand(), explainCommand(), clusterCommand(),
		imageCommand(), waitCommand(), importCommand(), replicationCommand(), egressCommand(), webhookCommand(), auditCommand(), versionCommand())
	root.SetArgs(spread(args))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintln(os.Stderr, err)
	}
	if coded := (*exitError)(nil); errors.As(err, &coded) {
		return coded.code
	}
	return 1
}
