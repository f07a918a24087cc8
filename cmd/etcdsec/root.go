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
		Long: `etcdsec issues the certificates and hardened configuration of an etcd cluster from
one spec, audits running members by what they accept instead of by their flags,
and rotates what they trust.`,
		Example: `  etcdsec init > cluster.yaml                      # a commented spec to edit
  etcdsec bootstrap -f cluster.yaml ./store        # certificates, configs, units
  etcdsec audit run -f cluster.yaml --pki ./store  # prove it on the running cluster`,
		Args:          unknownVerb,
		RunE:          runGroup,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(err, cmd.CommandPath()+" --help")
	})
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
	)
	return root
}

// newGroupCommand is a command that only holds verbs; it wants one of them.
func newGroupCommand(use, short, long string, verbs ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  unknownVerb,
		RunE:  runGroup,
	}
	group.AddCommand(verbs...)
	return group
}

// runGroup is a group called without a verb: help, and a bad command line.
func runGroup(cmd *cobra.Command, _ []string) error {
	cmd.SetOut(cmd.ErrOrStderr()) // stdout is for results
	if err := cmd.Help(); err != nil {
		return err
	}
	return usageError(errors.New("a command is missing"), cmd.CommandPath()+" --help")
}

func unknownVerb(cmd *cobra.Command, given []string) error {
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
