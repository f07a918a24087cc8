package main

import "github.com/spf13/cobra"

func newAuditCommand(a *app) *cobra.Command {
	return newGroupCommand("audit", "Prove how secure running etcd members are",
		`Ask running etcd members what they accept, and judge the answers. An audit never writes to etcd,
never adds an entry to its raft log, and never posts to a peer port.`,
		newAuditRunCommand(a),
		newAuditCensusCommand(a),
		newAuditListCommand(a),
		newAuditExplainCommand(a),
		newAuditDiffCommand(a),
		newAuditMergeCommand(a),
	)
}
