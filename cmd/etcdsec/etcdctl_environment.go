package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// useEtcdctlEnvironment gives flags the values of etcdctl's variables, such as cacert that of
// ETCDCTL_CACERT, and says so. A flag that was given beats its variable, where etcdctl would end.
func (a *app) useEtcdctlEnvironment(cmd *cobra.Command, flags ...string) error {
	var used []string
	for _, name := range flags {
		variable := "ETCDCTL_" + strings.ToUpper(name)
		value := os.Getenv(variable)
		if value == "" || cmd.Flags().Changed(name) {
			continue
		}
		if err := cmd.Flags().Set(name, value); err != nil {
			return usageError(err, "unset "+variable)
		}
		used = append(used, variable)
	}
	if len(used) > 0 {
		a.narrate("using %s of the environment", strings.Join(used, ", "))
	}
	return nil
}
