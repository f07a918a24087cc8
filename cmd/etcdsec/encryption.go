package main

import "github.com/spf13/cobra"

func newEncryptionCommand(a *app) *cobra.Command {
	return newGroupCommand("encryption", "Encrypt what kube-apiserver stores in etcd",
		`Make and judge the EncryptionConfiguration of kube-apiserver, which says how Secrets and
other objects are encrypted before they reach etcd. Files are taken and refused exactly as
kube-apiserver takes and refuses them. No key is ever printed.`,
		newEncryptionGenerateCommand(a),
		newEncryptionLintCommand(a),
		newEncryptionRotateCommand(a),
	)
}
