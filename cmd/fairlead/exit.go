package main

import "github.com/spf13/cobra"

// exitError ends a command with a code of its own. All others are 1.
type exitError struct {
	error
	code int
}

func (e *exitError) Unwrap() error { return e.error }

// codeUsage is for commands whose 1 says something else than that they were called wrongly, or could ask nobody.
const codeUsage = 2

func usage(err error) error { return &exitError{err, codeUsage} }

// usageIsTwo has everything that is wrong with how a command is called end with codeUsage.
func usageIsTwo(cmd *cobra.Command) {
	args := cmd.Args
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return usage(err)
		}
		return nil
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
}
