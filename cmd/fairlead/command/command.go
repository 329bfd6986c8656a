// Package command has the commands that people and scripts call: they ask a running gateway, or none.
package command

import "github.com/spf13/cobra"

// All are the commands, each anew.
func All() []*cobra.Command {
	return []*cobra.Command{explainCommand(), clusterCommand(), drainCommand(), imageCommand(), waitCommand(),
		importCommand(), replicationCommand(), egressCommand(), webhookCommand(), auditCommand(), reloadCommand(),
		configCommand(), statusCommand(), changesCommand(), endpointsCommand()}
}
