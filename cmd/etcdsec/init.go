package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
)

func newInitCommand(a *app) *cobra.Command {
	var runtime string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a commented cluster spec to start from",
		Long: `Write a commented cluster spec on standard output. It can be used as it is; edit names
and addresses. Reads nothing and writes no file.`,
		Example: `  etcdsec init > cluster.yaml
  etcdsec init --runtime systemd > cluster.yaml`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if !slices.Contains(cluster.Runtimes(), cluster.Runtime(runtime)) {
				return usageError(fmt.Errorf("--runtime %s: want static-pod, systemd or hosted", runtime), "")
			}
			return cluster.WriteTemplate(a.stdout, cluster.Runtime(runtime))
		},
	}
	cmd.Flags().StringVar(&runtime, "runtime", string(cluster.StaticPod), "what runs etcd: `static-pod`, systemd or hosted")
	_ = cmd.RegisterFlagCompletionFunc("runtime", cobra.FixedCompletions([]string{"static-pod", "systemd", "hosted"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for unknown flags
	return cmd
}
