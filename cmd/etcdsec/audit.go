package main

import "github.com/spf13/cobra"

func newAuditCommand(a *app) *cobra.Command {
	return newGroupCommand("audit", "Prove how secure running etcd members are",
		`Ask running etcd members what they accept, and judge the answers. Nothing is written
to etcd, no entry is added to its raft log, and nothing is posted to a peer port.`,
		newAuditRunCommand(a),
		newAuditCensusCommand(a),
		newAuditListCommand(a),
		newAuditExplainCommand(a),
		newAuditDiffCommand(a),
		newAuditMergeCommand(a),
	)
}
