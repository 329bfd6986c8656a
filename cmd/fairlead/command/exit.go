package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// ErrSaid ends a command with exit code 1 when all that is to say has been printed.
var ErrSaid = errors.New("")

// exitError ends a command with a code of its own. All others are 1.
type exitError struct {
	error
	code int
}

func (e *exitError) Unwrap() error { return e.error }

// ExitCode is what the program ends with after a command's error.
func ExitCode(err error) int {
	if coded := (*exitError)(nil); errors.As(err, &coded) {
		return coded.code
	}
	return 1
}

// codeUsage is for commands whose 1 says something else than that they were called wrongly, or could ask nobody.
const codeUsage = 2

func usage(err error) error { return &exitError{err, codeUsage} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

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
