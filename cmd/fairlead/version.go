package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/geo/world"
)

// Set by the Makefile; a plain `go build` leaves them to what the toolchain recorded.
var release, commit string

type versionInfo struct{ release, commit string }

func (v versionInfo) String() string { return v.release + " (" + v.commit + ")" }

func version() versionInfo {
	v := versionInfo{release, commit}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if v.release == "" {
		v.release = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v.commit == "" {
			v.commit = s.Value
		}
	}
	if v.commit == "" {
		v.commit = "unknown commit"
	}
	return v
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "version, commit, Go, date of the geo data",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			v := version()
			table, built := world.Origin()
			fmt.Fprintf(cmd.OutOrStdout(),
				"fairlead %s\ncommit   %s\ngo       %s\ngeo      round-trip times of %s; places of %s of %s (%s)\n",
				v.release, v.commit, runtime.Version(), geo.RTTDate, table, built.Format(time.DateOnly),
				world.Attribution)
		},
	}
}
