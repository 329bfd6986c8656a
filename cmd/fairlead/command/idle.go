package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// shorthands are az's, of flags that mean nothing here.
var shorthands = map[string]string{"registry": "r", "resource-group": "g", "name": "n"}

// acceptIdle has a command take flags that az has, and that mean nothing to a gateway of one registry: scripts need not be
// changed. It says so of each that is given.
func acceptIdle(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		cmd.Flags().StringP(name, shorthands[name], "", "means nothing here")
		if name == "no-wait" {
			cmd.Flag(name).NoOptDefVal = "true"
		}
	}
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range names {
			if cmd.Flag(name).Changed {
				fmt.Fprintf(cmd.ErrOrStderr(), "--%s means nothing here: this gateway is of one registry\n", name)
			}
		}
		return run(cmd, args)
	}
}
