package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "etcdsec",
		Short: "Make an etcd cluster secure, and prove that it is",
		Long: `etcdsec makes the etcd of a Kubernetes cluster secure. From one spec it makes certificates,
hardened configurations and network policies. It audits running members by testing what they
accept. It renews certificates, and rotates the keys that encrypt what etcd stores.`,
		Example: `  etcdsec init > cluster.yaml                      # a commented spec to edit
  etcdsec bootstrap -f cluster.yaml ./store        # certificates, configs, units
  etcdsec audit run -f cluster.yaml --pki ./store  # audit the running cluster`,
		Args:          rejectUnknownVerb,
		RunE:          runGroup,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(flagError)
	addVersionFlag(a, root)
	root.SetHelpFunc(a.help)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		newInitCommand(a),
		newBootstrapCommand(a),
		newPKICommand(a),
		newAuditCommand(a),
		newEncryptionCommand(a),
		newPoliciesCommand(a),
		newRBACCommand(a),
		newVersionCommand(a),
		newExitStatusTopic(),
	)
	return root
}

// newExitStatusTopic returns the help topic about exit statuses.
func newExitStatusTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-status",
		Short: "What the exit statuses mean, for jobs",
		Long: `All verbs have the same exit statuses:

  0  done, and clean
  1  it could not be done, or something could not be told
  2  the command line or the spec is wrong, or a given file is missing
  3  findings, differences, or work that is due

An unknown result never counts as a pass. If there are findings and something is unknown, the status
is 1. The verbs of the audit and "encryption lint" have flags for that: with --unknown warn the findings
decide, and with --fail-on SEVERITY only those of that severity or worse make status 3. --fail-on none
never does, for a Job of Kubernetes, which takes any other status than 0 for a Pod that failed.

A run that was killed half-way is 1, or ends with its signal: the same command continues it.`,
	}
}

// newGroupCommand returns a command that only holds verbs; calling it without one is an error.
func newGroupCommand(use, short, long string, verbs ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  rejectUnknownVerb,
		RunE:  runGroup,
	}
	group.AddCommand(verbs...)
	return group
}

// runGroup handles a group without a verb: it prints the help, and returns a usage error.
func runGroup(cmd *cobra.Command, _ []string) error {
	cmd.SetOut(cmd.ErrOrStderr()) // stdout is for results
	if err := cmd.Help(); err != nil {
		return err
	}
	return usageError(errors.New("a command is missing"), cmd.CommandPath()+" --help")
}

func rejectUnknownVerb(cmd *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", given[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2 // cobra's own default, which it sets only on its own way here
	if near := cmd.SuggestionsFor(given[0]); len(near) > 0 {
		return usageError(err, cmd.CommandPath()+" "+near[0])
	}
	return usageError(err, cmd.CommandPath()+" --help")
}
