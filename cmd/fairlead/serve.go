package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/cmd/fairlead/command"
	"github.com/fairlead-gateway/fairlead/cmd/fairlead/gateway"
	"github.com/fairlead-gateway/fairlead/configs"
)

func serveCommand() *cobra.Command {
	var file, here string
	var debug bool
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "run a gateway: DNS, proxy, health, admin",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configs.Load(file)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("here") {
				if err := c.SetHere(here); err != nil {
					return err
				}
			}
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP) // which ends no gateway, also not one that starts
			log, end := newLog(debug)
			defer end()
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // nobody who stops reading our output ends a gateway
			for _, w := range c.Warnings() {
				log.Warn(w.String())
			}
			g, err := gateway.New(cmd.Context(), c, version().release, log)
			if err != nil {
				return err
			}
			log.Info("serving", "version", version().String(), "hostname", c.Hostname, "here", c.Here,
				"dns", c.DNS.Listen, "proxy", c.Proxy.Listen, "admin", c.Admin.Listen, "replicas", len(c.Replicas))
			reloadOnHangups(hangups, g)
			return g.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the file (required)")
	cmd.Flags().StringVar(&here, "here", "", "the replica beside this gateway, in place of the file's `here`")
	cmd.Flags().BoolVar(&debug, "debug", false, "log every query and request")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) // only for a flag that is not there
	}
	return cmd
}

// reloadOnHangups has the file read at once when somebody says so by SIGHUP. The log says what came of it.
func reloadOnHangups(hangups <-chan os.Signal, g *gateway.Gateway) {
	go func() {
		for range hangups {
			_, _ = g.Reload() // there is a file
		}
	}()
}

func newLog(debug bool) (log *slog.Logger, end func()) {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	h := newSparing(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	return slog.New(h), h.end
}

func checkCommand() *cobra.Command {
	var live, upstreams bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "say all that is wrong with a file, each with line and rule",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := configs.Load(args[0])
			if err != nil {
				return err
			}
			if len(c.Geo.Databases) > 0 { // nothing can be wrong with the table that is built in
				if _, err := gateway.NewGeo(c, nil); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			}
			out := cmd.OutOrStdout()
			for _, w := range c.Warnings() {
				fmt.Fprintln(out, "warning:", w)
			}
			if (live || upstreams) && !checkLive(cmd.Context(), out, c, upstreams) {
				return command.ErrSaid
			}
			fmt.Fprintf(out, "%s: ok, %d replicas\n", args[0], len(c.Replicas))
			return nil
		},
	}
	cmd.Flags().BoolVar(&live, "live", false,
		"also ask every upstream and front, log in, read a blob, and look the delegation up")
	cmd.Flags().BoolVar(&upstreams, "upstreams", false,
		"as --live, but without fronts and delegation: before any gateway runs")
	return cmd
}
