package main

import "github.com/spf13/cobra"

func newEncryptionCommand(a *app) *cobra.Command {
	return newGroupCommand("encryption", "Encrypt what kube-apiserver stores in etcd",
		`Make, check and rotate the EncryptionConfiguration of kube-apiserver, which tells how Secrets and
other objects are encrypted before they reach etcd. etcdsec accepts and refuses the same files as
kube-apiserver. It never prints a key.`,
		newEncryptionGenerateCommand(a),
		newEncryptionLintCommand(a),
		newEncryptionRotateCommand(a),
	)
}
