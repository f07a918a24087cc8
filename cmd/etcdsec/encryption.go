package main

import "github.com/spf13/cobra"

func newEncryptionCommand(a *app) *cobra.Command {
	return newGroupCommand("encryption", "Encrypt what kube-apiserver stores in etcd",
		`Make and check the EncryptionConfiguration of kube-apiserver, which tells how Secrets and other
objects are encrypted before they reach etcd. A file is accepted or refused exactly as
kube-apiserver accepts or refuses it. No key is ever printed.`,
		newEncryptionGenerateCommand(a),
		newEncryptionLintCommand(a),
		newEncryptionRotateCommand(a),
	)
}
