package main

import "github.com/spf13/cobra"

func newPKICommand(a *app) *cobra.Command {
	return newGroupCommand("pki", "Issue, renew and keep the certificates of a cluster",
		"Issue, renew, revoke and check the certificates of an etcd cluster and its clients.",
		newPKIIssueCommand(a),
		newPKIStatusCommand(a),
		newPKIVerifyCommand(a),
		newPKIRenewCommand(a),
		newPKIImportCommand(a),
		newPKICSRCommand(a),
		newPKISignCommand(a),
		newPKIInstallCommand(a),
		newPKIRevokeCommand(a),
		newPKIRecoverCommand(a),
		newPKIExportCommand(a),
	)
}
