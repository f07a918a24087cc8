package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
)

// initFlags hold the flags as the operator wrote them.
type initFlags struct {
	runtime string
}

func newInitCommand(a *app) *cobra.Command {
	var flags initFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a commented cluster spec to start from",
		Long: `Write a commented cluster spec to standard output. It is valid as it is; edit the names and
addresses. Reads nothing and writes no file.`,
		Example: `  etcdsec init > cluster.yaml
  etcdsec init --runtime systemd > cluster.yaml`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return flags.run(a) },
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *initFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.runtime, "runtime", string(cluster.StaticPod), "`type` of what runs etcd: static-pod, systemd or hosted")
	completeWords(cmd, "runtime", "static-pod", "systemd", "hosted")
}

func (f *initFlags) run(a *app) error {
	if !slices.Contains(cluster.Runtimes(), cluster.Runtime(f.runtime)) {
		return usageError(fmt.Errorf("--runtime %s: want static-pod, systemd or hosted", f.runtime), "")
	}
	return cluster.WriteTemplate(a.stdout, cluster.Runtime(f.runtime))
}
